"""Causal attention whose heads have a width of their own: for models whose width the heads do not divide."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import QKV, join
from sequary.ops.attend import attend, weights
from sequary.ops.causal_attend import causal_attend
from sequary.ops.rotary import rotate


class SizedAttention(Recurrent):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over s <= t, or over what `ctx.order` says is known; `heads` of K = `width`.

    `base`: of the rotary angles; None for no positions inside attention.
    """

    tiny = {"heads": 3, "width": 6}
    orders = True
    grows = True

    def __init__(
        self, dim: int, *, heads: int = 4, width: int = 32, base: float | None = 10_000.0, bias: bool = True
    ) -> None:
        super().__init__()
        self.heads, self.width, self.base = heads, width, base
        self.qkv = QKV(dim, width=heads * width, bias=bias)
        self.o = nn.Linear(heads * width, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD, None, self.heads)
        at = ctx.position_ids(batch, length, x_BTD.device)
        q, k = self._turn(q, at), self._turn(k, at)
        sees = ctx.sees(batch, length, x_BTD.device, causal=True)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, causal=sees is None))
        return self.o(join(causal_attend(q, k, v) if sees is None else attend(q, k, v, sees=sees)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self.qkv(x_BtD, None, self.heads)
        at = state.positions(ctx, x_BtD.shape[0], x_BtD.shape[1])
        state, sees = state.append(self._turn(k, at), v, ctx)
        return self.o(join(attend(self._turn(q, at), state.k, state.v, sees=sees))), state

    def _turn(self, x_BHtK: Tensor, at_Bt: Tensor) -> Tensor:
        return x_BHtK if self.base is None else rotate(x_BHtK, at_Bt, base=self.base)
