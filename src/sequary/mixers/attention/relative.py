"""Bidirectional attention with a learned bias for each offset along a sequence (AnomalyBERT, arXiv 2305.04468, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.attention.relative_bias import RelativeBias
from sequary.ops.attend import attend, weights
from sequary.ops.dropout import Dropout


class RelativeAttention(Mixer):
    """o_t = Σ_s softmax_s(q_t·k_s / √K + b_{s−t}) v_s; offsets from `span` on share the bias of span − 1, on each side."""

    tiny = {"heads": 2, "span": 5}
    orders = True

    def __init__(self, dim: int, *, span: int, heads: int = 4, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        check_heads(dim, heads)
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.relative = RelativeBias(heads, span, axes=1)
        self.o = nn.Linear(dim, dim, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD, None, self.heads)
        sees = ctx.sees(batch, length, x_BTD.device, causal=False)
        bias = self._bias(ctx, length, x_BTD.device)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, bias=bias))
        return self.dropout(self.o(join(attend(q, k, v, sees=sees, bias=bias))))

    def _bias(self, ctx: Ctx, length: int, device: torch.device) -> Tensor:
        """[1 or B, H, T, S]. Steps are counted with the gaps between them: padding moves no offset."""
        at = torch.arange(length, device=device)[None] if ctx.positions is None else ctx.positions
        return self.relative(self.relative.index(at[:, None, :] - at[:, :, None])).transpose(0, 1)
