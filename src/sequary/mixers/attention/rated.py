"""Causal attention with heads of any width, whose rotary rates are given one by one: for weights of other code bases.

They keep rates that were rounded to float32, and head widths that do not share out the model's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import QKV, join
from sequary.ops.attend import attend, weights


class RatedAttention(Recurrent):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over s <= t, or what `ctx.order` says is known; `heads` of K = `width`.

    `rates` (K / 2, empty: no positions): query and key pairs (first half, second half) turn by position · rate.
    `bias` on all projections.
    """

    tiny = {"heads": 2, "width": 6, "rates": (1.0, 0.1, 0.01)}
    orders = True
    grows = True

    def __init__(
        self, dim: int, *, heads: int = 8, width: int = 64, rates: tuple[float, ...] = (), bias: bool = False
    ) -> None:
        super().__init__()
        if rates and 2 * len(rates) != width:
            raise ValueError(f"{len(rates)} rates for heads of width={width}; give {width // 2}, or none")
        self.heads, self.width, self.rates = heads, width, rates
        self.qkv = QKV(dim, width=heads * width, bias=bias)
        self.o = nn.Linear(heads * width, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD, None, self.heads)
        positions = ctx.position_ids(batch, length, x_BTD.device)
        q, k = self._turn(q, positions), self._turn(k, positions)
        sees = ctx.sees(batch, length, x_BTD.device, causal=True)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, causal=sees is None))
        return self.o(join(attend(q, k, v, sees=sees, causal=sees is None)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self.qkv(x_BtD, None, self.heads)
        positions = state.positions(ctx, x_BtD.shape[0], x_BtD.shape[1])
        state, sees = state.append(self._turn(k, positions), v, ctx)
        return self.o(join(attend(self._turn(q, positions), state.k, state.v, sees=sees))), state

    def _turn(self, x_BHTK: Tensor, positions_BT: Tensor) -> Tensor:
        if not self.rates:
            return x_BHTK
        # Cosine and sine in float64: a bfloat16 angle is wrong by radians at position 300.
        rates = torch.tensor(self.rates, dtype=torch.float64, device=x_BHTK.device)
        angle = positions_BT[:, None, :, None] * rates
        cos, sin = angle.cos().to(x_BHTK.dtype), angle.sin().to(x_BHTK.dtype)
        a, b = x_BHTK.chunk(2, -1)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
