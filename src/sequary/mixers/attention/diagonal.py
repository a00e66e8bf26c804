"""Diagonally masked attention: each step is told only by the others (Du et al., SAITS, arXiv 2202.08516, section 3.2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.ops.attend import weights
from sequary.ops.dropout import Dropout


class DiagonalAttention(Mixer):
    """o_t = Σ_{s≠t} softmax_s(q_t·k_s / √K) v_s, so d o_t / d x_t is 0 through the values; q_t itself still reads x_t.

    `key`, `value`: widths of one head, D / heads unless given. No biases. `itself=True` lets a step see itself: plain attention.
    A step that sees no other gets 0.
    """

    orders = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key: int | None = None,
        value: int | None = None,
        itself: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        key, value = key or check_heads(dim, heads), value or check_heads(dim, heads)
        self.heads, self.itself = heads, itself
        self.q, self.k = nn.Linear(dim, heads * key, bias=False), nn.Linear(dim, heads * key, bias=False)
        self.v = nn.Linear(dim, heads * value, bias=False)
        self.o = nn.Linear(heads * value, dim, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = (split(f(x_BTD), self.heads) for f in (self.q, self.k, self.v))
        sees = ctx.sees(batch, length, x_BTD.device, causal=False)
        if not self.itself:
            others = ~torch.eye(length, dtype=torch.bool, device=x_BTD.device)
            sees = others[None] if sees is None else sees & others
        a_BHTS = weights(q, k, sees=sees)
        ctx.tell("attention", lambda: a_BHTS)
        return self.dropout(self.o(join(a_BHTS @ v)))
