"""Multi-DConv-head attention: queries, keys and values pass a short causal convolution first (Primer, arXiv 2109.08668)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import QKV, check_heads, join, split
from sequary.mixers.conv.short import ShortConv
from sequary.ops.attend import attend, weights
from sequary.ops.rotary import rotate


@dataclasses.dataclass(frozen=True, slots=True)
class DConvState(State):
    """The last projections that the convolution reads, and the cache of keys and values."""

    conv: State
    cache: Cache


class MultiDConvAttention(Recurrent):
    """(q, k, v)_t = b + Σ_{j<taps} w_j ⊙ (W x)_{t−j}, a kernel for each head and channel; then causal softmax attention.

    `base`: of the rotary angles, which turn after the convolution; None for no positions. `ctx.order` is not read: the tokens
    just before t always are.
    """

    grows = True

    def __init__(
        self, dim: int, *, heads: int = 4, taps: int = 3, base: float | None = 10_000.0, bias: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.width, self.base = heads, check_heads(dim, heads), base
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.conv = ShortConv(3 * dim, taps=taps)
        self.o = nn.Linear(dim, dim, bias=bias)

    def convolved(self, x_BtD: Tensor, state: State, ctx: Ctx) -> tuple[Tensor, Tensor, Tensor, State]:
        """q, k, v [B, H, t, K] before their positions, and the convolution's next state."""
        joined = torch.cat((self.qkv.q(x_BtD), self.qkv.k(x_BtD), self.qkv.v(x_BtD)), -1)
        y, after = self.conv.step(joined, state, ctx)
        q, k, v = (split(part, self.heads) for part in y.chunk(3, -1))
        return q, k, v, after

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v, _ = self.convolved(x_BTD, self.conv.init_state(batch), ctx)
        positions = ctx.position_ids(batch, length, x_BTD.device)
        q, k = self._turn(q, positions), self._turn(k, positions)
        sees = dataclasses.replace(ctx, order=None).sees(batch, length, x_BTD.device, causal=True)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, causal=sees is None))
        return self.o(join(attend(q, k, v, sees=sees, causal=sees is None)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> DConvState:
        cache = Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)
        return DConvState(self.conv.init_state(batch), cache)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, DConvState]:
        assert isinstance(state, DConvState)
        q, k, v, conv = self.convolved(x_BtD, state.conv, ctx)
        positions = state.cache.positions(ctx, x_BtD.shape[0], x_BtD.shape[1])
        q, k = self._turn(q, positions), self._turn(k, positions)
        cache, sees = state.cache.append(k, v, dataclasses.replace(ctx, order=None))
        return self.o(join(attend(q, cache.k, cache.v, sees=sees))), DConvState(conv, cache)

    def _turn(self, x_BHtK: Tensor, positions_Bt: Tensor) -> Tensor:
        return x_BHtK if self.base is None else rotate(x_BHtK, positions_Bt, base=self.base)
