"""Causal attention whose queries and keys are normalised first, without positions of its own."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.attention.query_key import QueryKey, Unit
from sequary.ops.attend import attend, weights


class NormedAttention(Recurrent):
    """o_t = Σ_s softmax_s(q̂_t·k̂_s) v_s over s <= t, or what `ctx.order` says is known; (q̂, k̂) = `normal`(q, k) for each head."""

    orders = True
    grows = True

    def __init__(self, dim: int, *, heads: int = 4, normal: Part[QueryKey] = part(Unit), bias: bool = True) -> None:
        super().__init__()
        self.heads, self.width = heads, check_heads(dim, heads)
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.normal = normal.but(heads=heads).build(Place(self.width))
        self.o = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        q, k = self.normal(q, k)
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=True)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, causal=sees is None, scale=1.0))
        return self.o(join(attend(q, k, v, sees=sees, causal=sees is None, scale=1.0)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self.qkv(x_BtD, None, self.heads)
        q, k = self.normal(q, k)
        state, sees = state.append(k, v, ctx)
        return self.o(join(attend(q, state.k, state.v, sees=sees, scale=1.0))), state
