"""Attention whose scores a small network gives (DiGiugno & Mahmood, Neural Attention, arXiv 2502.17206)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.ops.attend import attend, weights
from sequary.ops.pair_scores import pair_scores


class NeuralAttention(Recurrent):
    """o_t = Σ_s softmax_s(w_h · relu(W_q q_t + W_k k_s + b)) v_s over s <= t, or what `ctx.order` says is known.

    That is one hidden layer on [q_t, k_s], cut into what each side gives; `units` hidden units a head. The scalar bias of the score is
    left out, since a softmax does not see it. Knows no positions beside the order.
    """

    tiny = {"heads": 2, "units": 3}
    orders = True
    grows = True

    def __init__(self, dim: int, *, heads: int = 4, units: int = 16) -> None:
        super().__init__()
        self.heads, self.width, self.units = heads, check_heads(dim, heads), units
        # q and k are projected twice in a row without anything between, so the two projections are one.
        self.q = nn.Linear(dim, heads * units)
        self.k = nn.Linear(dim, heads * units, bias=False)
        self.v = nn.Linear(dim, dim, bias=False)
        self.w = nn.Parameter(torch.randn(heads, units) / math.sqrt(units))
        self.o = nn.Linear(dim, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        a, c, v = (split(f(x_BTD), self.heads) for f in (self.q, self.k, self.v))
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=True)
        if sees is None:
            sees = torch.ones(x_BTD.shape[1], x_BTD.shape[1], dtype=torch.bool, device=x_BTD.device).tril()[None]
        return self._read(a, c, v, sees, ctx)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.units, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        a, c, v = (split(f(x_BtD), self.heads) for f in (self.q, self.k, self.v))
        state, sees = state.extend(c, v, ctx)
        return self._read(a, state.k, state.v, sees, ctx), state

    def _read(self, a: Tensor, c: Tensor, v: Tensor, sees: Tensor, ctx: Ctx) -> Tensor:
        scores = pair_scores(a, c, self.w)
        none_q, none_k = a.new_zeros(*a.shape[:-1], 1), a.new_zeros(*c.shape[:-1], 1)  # all of a score is in its bias
        ctx.tell("attention", lambda: weights(none_q, none_k, sees=sees, bias=scores))
        return self.o(join(attend(none_q, none_k, v, sees=sees, bias=scores)))
