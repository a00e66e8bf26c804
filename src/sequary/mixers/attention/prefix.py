"""Attention whose query is learnt, so that its past is two numbers and a mean (Feng et al., Attention as an RNN, arXiv 2405.13956)."""

from __future__ import annotations

import dataclasses
import math

import torch
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads
from sequary.ops.causal_conv import starts
from sequary.ops.prefix_softmax import Prefix, prefix_softmax


@dataclasses.dataclass(frozen=True, slots=True)
class PrefixState(State):
    """What was read, and the segment [B] of the last real token."""

    read: Prefix
    segment: Tensor

    @staticmethod
    def empty(batch: int, heads: int, width: int, like: Tensor) -> PrefixState:
        return PrefixState(Prefix.empty(batch, heads, width, like), like.new_full((batch,), -1, dtype=torch.long))


class PrefixHeads(nn.Module):
    """Projections k, v of x and `read`: o [B, t, H, K], o_t = Σ_{s<=t} softmax_s(q_h·k_s / √K) v_s, the heads before they are joined."""

    def __init__(self, dim: int, *, heads: int, width: int, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.q = nn.Parameter(torch.randn(heads, width))
        self.k = nn.Linear(dim, heads * width, bias=bias)
        self.v = nn.Linear(dim, heads * width, bias=bias)

    def read(self, k_BtE: Tensor, v_BtE: Tensor, state: PrefixState, ctx: Ctx) -> tuple[Tensor, PrefixState]:
        k, v = (rearrange(x, "B t (H K) -> B t H K", H=self.heads) for x in (k_BtE, v_BtE))
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        a_BtH = (k * self.q).sum(-1) / math.sqrt(self.width)
        o_BtHV, _, after = prefix_softmax(a_BtH, v, state.read, mask_BT=ctx.mask, starts_BT=begins)
        return o_BtHV, PrefixState(after, segment)


class PrefixAttention(Recurrent):
    """y_t = W_o o_t, o_t = Σ_{s<=t} softmax_s(q_h·k_s / √K) v_s, q_h a parameter: Aaren.

    A softmax over the past with a state of constant size: log Σ exp and the mean, a head. Which tokens count is learnt, not asked for
    by the current token. `bias` on all projections.
    """

    cost = 1.0

    def __init__(self, dim: int, *, heads: int = 4, bias: bool = False) -> None:
        super().__init__()
        self.inner = PrefixHeads(dim, heads=heads, width=check_heads(dim, heads), bias=bias)
        self.o = nn.Linear(dim, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> PrefixState:
        return PrefixState.empty(batch, self.inner.heads, self.inner.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, PrefixState]:
        assert isinstance(state, PrefixState)
        o_BtHV, after = self.inner.read(self.inner.k(x_BtD), self.inner.v(x_BtD), state, ctx)
        return self.o(o_BtHV.flatten(2)), after
