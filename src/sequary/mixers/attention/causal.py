"""Causal multi-head softmax attention with rotary positions and a cache (Vaswani et al. 2017; RoFormer for the positions)."""

from __future__ import annotations

from torch import Tensor

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import FULL, QKV, Ranks, check_heads, join, linear
from sequary.ops.attend import attend, weights
from sequary.ops.causal_attend import causal_attend
from sequary.ops.rotary import turn, turns


class CausalAttention(Recurrent):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over s <= t, or over what `ctx.order` says is known; H heads of width dim / H.

    `base`: of the rotary angles; None for no positions inside attention. `bias` on all projections. Edits leave `kept` of the
    heads, and `ranks` of the projections. The tape hears "attention" [B, H, T, T] and "heads" [B, H, T, V].
    """

    orders = True
    grows = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        base: float | None = 10_000.0,
        bias: bool = False,
        kept: int | None = None,
        ranks: Ranks = FULL,
    ) -> None:
        super().__init__()
        self.base, self.width = base, check_heads(dim, heads)
        self.heads = heads if kept is None else kept
        self.qkv = QKV(dim, width=self.heads * self.width, bias=bias, ranks=ranks)
        self.o = linear(self.heads * self.width, dim, rank=ranks[3], bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD, None, self.heads)
        if self.base is not None:
            at = ctx.position_ids(batch, length, x_BTD.device)
            angles = turns(at, self.width, base=self.base, dtype=q.dtype)
            q, k = turn(q, *angles), turn(k, *angles)
        sees = ctx.sees(batch, length, x_BTD.device, causal=True)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, causal=sees is None))
        mixed_BHTV = causal_attend(q, k, v) if sees is None else attend(q, k, v, sees=sees)
        ctx.tell("heads", lambda: mixed_BHTV)
        return self.o(join(mixed_BHTV))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, next(self.parameters()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self.qkv(x_BtD, None, self.heads)
        if self.base is not None:
            angles = state.turns(ctx, q, base=self.base)
            q, k = turn(q, *angles), turn(k, *angles)
        state, sees = state.append(k, v, ctx)
        return self.o(join(attend(q, state.k, state.v, sees=sees))), state
