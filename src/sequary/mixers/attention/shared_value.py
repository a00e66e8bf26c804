"""Interpretable multi-head attention: heads differ in where they look, not in what they read (Lim et al., arXiv 1912.09363, 4.4)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import check_heads, split
from sequary.ops.attend import weights
from sequary.ops.dropout import Dropout


class SharedValueAttention(Mixer):
    """o_t = W_o Σ_s ā_ts (W_v x_s), ā = mean over heads of softmax(q kᵀ / √K) over s <= t: one map says what was read.

    W_v: D -> K with a bias, W_o without; K = `width`, D / heads unless given. Knows no positions.
    """

    causal = True
    orders = True

    def __init__(self, dim: int, *, heads: int = 4, width: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        width = check_heads(dim, heads) if width is None else width
        self.q, self.k = nn.Linear(dim, heads * width), nn.Linear(dim, heads * width)
        self.v = nn.Linear(dim, width)
        self.o = nn.Linear(width, dim, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=True)
        return self.read(x_BTD, x_BTD, sees, ctx, causal=sees is None)

    def read(
        self, x_BTD: Tensor, source_BSD: Tensor, sees_BTS: Tensor | None, ctx: Ctx, *, causal: bool = False
    ) -> Tensor:
        """Queries of some steps over the keys and values of others."""
        q_BHTK, k_BHSK = split(self.q(x_BTD), self.heads), split(self.k(source_BSD), self.heads)
        a_BHTS = weights(q_BHTK, k_BHSK, sees=sees_BTS, causal=causal)
        ctx.tell("attention", lambda: a_BHTS)
        return self.dropout(self.o(a_BHTS.mean(1) @ self.v(source_BSD)))
