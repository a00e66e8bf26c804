"""Sums over the last few tokens with a learnt weight for each lag, from a matrix to a number; `ShortConv` has a vector for each."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.conv.short import ConvState
from sequary.ops.causal_conv import starts, toeplitz_conv
from sequary.ops.taps import taps


class MatrixLags(Recurrent):
    """y_t = b + Σ_{j<K} W_j x_{t−j}, K = `taps`: a full matrix [D, D] for each lag."""

    tiny = {"taps": 3}
    cost = 1.0

    def __init__(self, dim: int, *, taps: int = 16, bias: bool = True) -> None:
        super().__init__()
        self.dim, self.taps = dim, taps
        self.w = nn.Linear(taps * dim, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ConvState:
        return ConvState.empty(batch, self.taps, self.dim, self.w.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ConvState]:
        assert isinstance(state, ConvState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        near, past = taps(x_BtD, state.past, mask_BT=ctx.mask, starts_BT=begins)
        return self.w(torch.cat(near, -1)), ConvState(past, segment)


class NumberLags(Recurrent):
    """y_t = b + Σ_{j<K} w_j x_{t−j}, K = `taps`: one number for each lag, the same for all channels. `bias` a vector."""

    tiny = {"taps": 3}
    cost = 2.0

    def __init__(self, dim: int, *, taps: int = 64, bias: bool = True) -> None:
        super().__init__()
        self.dim, self.taps = dim, taps
        bound = 1 / math.sqrt(taps)
        self.weight = nn.Parameter(torch.empty(taps).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ConvState:
        return ConvState.empty(batch, self.taps, self.dim, self.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ConvState]:
        assert isinstance(state, ConvState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        y_BtD, past = toeplitz_conv(x_BtD, self.weight, state.past, mask_BT=ctx.mask, starts_BT=begins)
        return y_BtD if self.bias is None else y_BtD + self.bias, ConvState(past, segment)
