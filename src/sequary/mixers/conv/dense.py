"""A convolution along the sequence in which all channels meet, and a stack of them that embeds the steps of a signal."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import BatchNorm, Norm
from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.conv.short import ConvState
from sequary.ops.causal_conv import starts
from sequary.ops.taps import taps


class DenseConv(Recurrent):
    """y_t = Σ_{j<K} W_j x_{t + a − (K−1) + j}, K = `taps`, `weight` [D, K · `inputs`], oldest tap first; zeros beyond the ends.

    `ahead` a: how many tokens of the future it sees; above 0 it is neither causal nor recurrent. `inputs`: the width of x, dim
    unless given.
    """

    cost = 1.0

    def __init__(self, dim: int, *, taps: int = 3, ahead: int = 0, inputs: int | None = None) -> None:
        super().__init__()
        if not 0 <= ahead < taps:
            raise ValueError(f"ahead={ahead} of taps={taps}: use 0 (causal) to {taps - 1}")
        self.taps, self.ahead, self.inputs = taps, ahead, dim if inputs is None else inputs
        self.causal = self.recurrent = ahead == 0
        bound = 1 / math.sqrt(taps * self.inputs)
        self.weight = nn.Parameter(torch.empty(dim, taps * self.inputs).uniform_(-bound, bound))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ConvState:
        return ConvState.empty(batch, self.taps - self.ahead, self.inputs, self.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ConvState]:
        assert isinstance(state, ConvState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        near, past = taps(x_BtD, state.past, ahead=self.ahead, mask_BT=ctx.mask, starts_BT=begins)
        return torch.cat(near, -1) @ self.weight.mT, ConvState(past, segment)


class ConvEmbedding(Recurrent):
    """x ← norm(ReLU(conv x)), `layers` times, and then x + conv(x): convolutional patch embedding (LMUFormer, arXiv 2402.04882).

    The first convolution takes `inputs` channels (None: dim). `ahead`: of each convolution, as in `DenseConv`.
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        layers: int = 4,
        taps: int = 3,
        ahead: int = 0,
        inputs: int | None = None,
        norm: Part[Norm] = part(BatchNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        conv = part(DenseConv, taps=taps, ahead=ahead)
        self.convs = nn.ModuleList((conv if n else conv.but(inputs=inputs)).build(here) for n in range(layers))
        self.norms = nn.ModuleList(norm.build(here) for _ in range(layers))
        self.last = conv.build(here)
        self.causal = self.recurrent = ahead == 0

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(c.init_state(batch) for c in self._convs()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, States]:
        assert isinstance(state, States)
        after: list[State] = []
        *convs, last = self._convs()
        for conv, norm, old in zip(convs, self.norms, state.each[:-1], strict=True):
            y_BtD, new = conv.step(x_BtD, old, ctx)
            x_BtD = norm(F.relu(y_BtD), ctx)
            after.append(new)
        y_BtD, new = last.step(x_BtD, state.each[-1], ctx)
        return x_BtD + y_BtD, States((*after, new))

    def _convs(self) -> list[DenseConv]:
        return [c for c in (*self.convs, self.last) if isinstance(c, DenseConv)]
