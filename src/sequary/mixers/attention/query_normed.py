"""Attention whose queries alone are normalised (Kossen et al., Self-Attention Between Datapoints, arXiv 2106.02584, authors' code)."""

from __future__ import annotations

import math

from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join, split
from sequary.ops.attend import attend, weights


class QueryNormedAttention(Mixer):
    """o_t = W_o Σ_s softmax_s(q_t·k_s / √D) v_s,  q_t = W_q LN(x_t),  k_s = W_k x_s,  v_s = W_v x_s; biases everywhere.

    Divided by the root of the whole width D, not of a head's. The tape hears "attention" [B, H, T, T].
    """

    orders = True

    def __init__(self, dim: int, *, heads: int = 4, eps: float = 1e-5) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.scale = heads, 1 / math.sqrt(dim)
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.qkv = QKV(dim, width=dim, bias=True)
        self.o = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q = split(self.qkv.q(self.norm(x_BTD)), self.heads)
        k, v = split(self.qkv.k(x_BTD), self.heads), split(self.qkv.v(x_BTD), self.heads)
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, scale=self.scale))
        return self.o(join(attend(q, k, v, sees=sees, scale=self.scale)))
