"""Causal attention whose projections are tables (Ding et al., MemoryFormer, arXiv 2411.12992)."""

from __future__ import annotations

from torch import Tensor

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.mixers.hashed import HashLinear
from sequary.ops.attend import attend, weights
from sequary.ops.causal_attend import causal_attend
from sequary.ops.rotary import rotate


class HashedAttention(Recurrent):
    """(q, k, v) = H(x), o_t = H'(Σ_s softmax_s(q_t·k_s / √K) v_s) over s <= t, or over what `ctx.order` says is known.

    H, H' are `HashLinear`; q, k and v share the addresses of x. Rotary positions.
    """

    tiny = {"heads": 2, "bits": 4}
    orders = True
    grows = True

    def __init__(
        self, dim: int, *, heads: int = 4, bits: int = 8, temperature: float = 1.0, base: float = 10_000.0
    ) -> None:
        super().__init__()
        self.heads, self.width, self.base = heads, check_heads(dim, heads), base
        self.qkv = HashLinear(dim, 3 * dim, bits=bits, temperature=temperature)
        self.o = HashLinear(dim, dim, bits=bits, temperature=temperature)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self._project(x_BTD, ctx.position_ids(batch, length, x_BTD.device))
        sees = ctx.sees(batch, length, x_BTD.device, causal=True)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, causal=sees is None))
        return self.o(join(causal_attend(q, k, v) if sees is None else attend(q, k, v, sees=sees)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.bias)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self._project(x_BtD, state.positions(ctx, x_BtD.shape[0], x_BtD.shape[1]))
        state, sees = state.append(k, v, ctx)
        return self.o(join(attend(q, state.k, state.v, sees=sees))), state

    def _project(self, x_BtD: Tensor, at_Bt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (split(part, self.heads) for part in self.qkv(x_BtD).chunk(3, -1))
        return rotate(q, at_Bt, base=self.base), rotate(k, at_Bt, base=self.base), v
