"""Bidirectional multi-head softmax attention (Vaswani et al., 2017, section 3.2)."""

from __future__ import annotations

from torch import Tensor

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import FULL, QKV, Ranks, check_heads, join, linear
from sequary.ops.attend import attend, weights
from sequary.ops.dropout import Dropout


class Attention(Mixer):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over all real tokens, or those that `ctx.order` lets t see.

    Knows no positions: the tokens bring them. `dropout` acts on the output's projection. Edits leave `kept` of the heads, and
    `ranks` of the projections. The tape hears "attention" [B, H, T, T] and "heads" [B, H, T, V].
    """

    orders = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        bias: bool = True,
        dropout: float = 0.0,
        kept: int | None = None,
        ranks: Ranks = FULL,
    ) -> None:
        super().__init__()
        self.width = check_heads(dim, heads)
        self.heads = heads if kept is None else kept
        self.qkv = QKV(dim, width=self.heads * self.width, bias=bias, ranks=ranks)
        self.o = linear(self.heads * self.width, dim, rank=ranks[3], bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        ctx.tell("attention", lambda: weights(q, k, sees=sees))
        mixed_BHTV = attend(q, k, v, sees=sees)
        ctx.tell("heads", lambda: mixed_BHTV)
        return self.dropout(self.o(join(mixed_BHTV)))
