"""A transformer block that reads its own past outputs (The Recurrent Transformer, arXiv 2604.21215)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import check_heads
from sequary.ops.recurrent_layer import recurrent_layer


@dataclasses.dataclass(frozen=True, slots=True)
class Own(Cache):
    """Keys and values that the layer itself appends, since they come after its output: never laid out beforehand."""

    def fixed(self, places: int) -> Own:
        return self


class RecurrentLayer(Recurrent):
    """a_t = x_t + W_o attention(q_t; k_s, v_s of s < t and of x_t itself),  y_t = a_t + W_2 GELU(W_1 norm(a_t)),
    (k_s, v_s) = W n(y_s): what earlier tokens became in this very layer, not what they were before it.

    Attention and feed-forward in one block, both residual and behind RMS norms. Depth grows with time; the cache is a transformer's.
    `ratio`: of the feed-forward's width; `base`: of the rotary positions.
    """

    tiny = {"heads": 2}
    exempt = {
        "hard": "where all tokens are 0, ∂y_t/∂y_s goes through t − s norms, each of slope 1/√ε there: (1/√ε)^(t − s) at most"
    }
    grows = True

    def __init__(self, dim: int, *, heads: int = 4, ratio: float = 4.0, base: float = 10_000.0) -> None:
        super().__init__()
        self.heads, self.width, self.base = heads, check_heads(dim, heads), base
        hidden = round(ratio * dim)
        self.norm, self.inner = nn.RMSNorm(dim), nn.RMSNorm(dim)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        sees = dataclasses.replace(ctx, order=None).sees(batch, length, x_BTD.device, causal=True)
        if sees is None:
            sees = torch.ones(batch, length, length, dtype=torch.bool, device=x_BTD.device)
        at = ctx.position_ids(batch, length, x_BTD.device)
        none = x_BTD.new_zeros(batch, self.heads, 0, self.width)
        return recurrent_layer(x_BTD, self._weights(), none, none, sees, at, self.base)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Own.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, Cache]:
        assert isinstance(state, Cache)
        batch, new, _ = x_BtD.shape
        at = state.positions(ctx, batch, new)
        none = state.k.new_zeros(batch, self.heads, new, self.width)
        longer, sees = state.extend(
            none, none, dataclasses.replace(ctx, order=None)
        )  # who sees whom, before there are keys
        y_BtD, k, v = recurrent_layer(x_BtD, self._weights(), state.k, state.v, sees, at, self.base)
        return y_BtD, dataclasses.replace(longer, k=torch.cat((state.k, k), 2), v=torch.cat((state.v, v), 2))

    def _weights(self) -> list[Tensor]:
        linears = (self.q, self.k, self.v, self.o)
        return [self.norm.weight, *(m.weight for m in linears), self.inner.weight, self.up.weight, self.down.weight]
