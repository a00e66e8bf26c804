"""Convolutions over a tree of dilations whose levels share two short filters: the memory of a wavelet decomposition.

Shi, Wang and Fox, Sequence Modeling with Multiresolution Convolutional Memory (arXiv 2305.01638), section 3.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.ops.causal_conv import starts
from sequary.ops.dilated_taps import dilated_taps


@dataclasses.dataclass(frozen=True, slots=True)
class TreeState(State):
    """Of level j the last (K − 1) 2^j averages [B, (K − 1) 2^j, D] that it reads; the segment [B] of the last real token."""

    pasts: tuple[Tensor, ...]
    segment: Tensor


class MultiresConv(Recurrent):
    """a_0 = x;  a_j[t] = Σ_k h0[k] a_{j-1}[t − 2^{j-1} k],  b_j[t] = Σ_k h1[k] a_{j-1}[t − 2^{j-1} k];
    y = w_0 a_J + Σ_j w_j b_j + w_x x;  each channel apart.

    J = `depth` levels of filters of K = `taps`, the same on all: the output sees (K − 1)(2^J − 1) tokens back, with 2 K + J + 2
    numbers a channel. `low`, `high` [D, K] hold h0 and h1, the tap of the present last; `mix` [D, J + 2] holds w_0, w_J … w_1, w_x.
    """

    cost = 1.0

    def __init__(self, dim: int, *, taps: int = 2, depth: int = 8) -> None:
        super().__init__()
        if taps < 2:
            raise ValueError(f"taps={taps}: a filter of one tap sees no past; use 2 or more")
        self.taps, self.depth = taps, depth
        self.low, self.high = (nn.Parameter(torch.empty(dim, taps).uniform_(-1, 1) / math.sqrt(taps)) for _ in range(2))
        self.mix = nn.Parameter(torch.empty(dim, depth + 2).uniform_(-1, 1) / math.sqrt(depth + 2))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> TreeState:
        width = self.low.shape[0]
        pasts = tuple(self.low.new_zeros(batch, (self.taps - 1) << level, width) for level in range(self.depth))
        return TreeState(pasts, self.low.new_full((batch,), -1, dtype=torch.long))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, TreeState]:
        assert isinstance(state, TreeState)
        average, details, state = self.tree(x_BtD, state, ctx)
        y_BtD = self.mix[:, 0] * average + self.mix[:, -1] * x_BtD
        for level, detail in enumerate(details):
            y_BtD = y_BtD + self.mix[:, self.depth - level] * detail
        return y_BtD, state

    def tree(self, x_BtD: Tensor, state: TreeState, ctx: Ctx) -> tuple[Tensor, list[Tensor], TreeState]:
        """(a_J, b_1 … b_J, the state afterwards)."""
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        average = x_BtD
        details: list[Tensor] = []
        pasts: list[Tensor] = []
        for level, past in enumerate(state.pasts):
            near, past = dilated_taps(average, past, dilation=1 << level, mask_BT=ctx.mask, starts_BT=begins)
            stacked = torch.stack(near, -1)
            average, detail = (stacked * self.low).sum(-1), (stacked * self.high).sum(-1)
            details.append(detail)
            pasts.append(past)
        return average, details, TreeState(tuple(pasts), segment)


class MultiresLayer(Recurrent):
    """y = a ⊙ σ(b), (a, b) = W GELU(conv(x)) + c."""

    cost = 1.0

    def __init__(
        self, dim: int, *, conv: Part[Recurrent] = part(MultiresConv), place: Place | None = None
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = conv.build(Place.here(place, dim))
        self.out = nn.Linear(dim, 2 * dim)
        self.cost, self.grows = self.conv.cost, self.conv.grows

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return F.glu(self.out(F.gelu(self.conv(x_BTD, ctx))), -1)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        return self.conv.init_state(batch, ctx)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        y_BtD, state = self.conv.step(x_BtD, state, ctx)
        return F.glu(self.out(F.gelu(y_BtD)), -1), state
