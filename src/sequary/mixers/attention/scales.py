"""Attention whose heads look at windows of their own widths (Guo et al., Multi-Scale Self-Attention, arXiv 1912.00544)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import attend, weights
from sequary.ops.dropout import Dropout


class MultiScaleAttention(Mixer):
    """o_{t,h} = Σ_s softmax_s(q_t·k_s / √K) v_s over |s − t| <= reach_h, heads side by side.

    `reaches`: one for each head; None: all tokens. A reach of 1 is a window of three.
    """

    tiny = {"reaches": (1, 2, None, None)}
    orders = True

    def __init__(
        self, dim: int, *, reaches: tuple[int | None, ...] = (1, 3, None, None), bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_heads(dim, len(reaches))
        if any(reach is not None and reach < 0 for reach in reaches):
            raise ValueError(f"reaches={reaches}: use 0 (the token alone) or more, or None for all")
        self.reaches = reaches
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD, None, len(self.reaches))
        at = torch.arange(length, device=x_BTD.device)
        away_TT = (at[:, None] - at).abs()
        near_HTT = torch.stack([away_TT >= 0 if r is None else away_TT <= r for r in self.reaches])
        others = ctx.sees(batch, length, x_BTD.device, causal=False)
        sees = near_HTT[None] if others is None else near_HTT & others[:, None]
        ctx.tell("attention", lambda: weights(q, k, sees=sees))
        return self.dropout(self.o(join(attend(q, k, v, sees=sees))))
