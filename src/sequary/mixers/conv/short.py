"""Short causal convolution, each channel apart: what recurrent mixers put before their recurrence (H3, Mamba, GLA)."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.ops.causal_conv import causal_conv, starts


@dataclasses.dataclass(frozen=True, slots=True)
class ConvState(State):
    """The last K - 1 inputs [B, K - 1, D], oldest first, and the segment [B] of the newest."""

    past: Tensor
    segment: Tensor

    @staticmethod
    def empty(batch: int, taps: int, width: int, like: Tensor) -> ConvState:
        """Before the first token: zeros, and a segment that no row uses."""
        return ConvState(like.new_zeros(batch, taps - 1, width), like.new_full((batch,), -1, dtype=torch.long))


class ShortConv(Recurrent):
    """y_t = b + Σ_{j<K} w_j x_{t-j}, K = `taps`; `weight` [D, K], its last column meets the current token."""

    cost = 1.0

    def __init__(self, dim: int, *, taps: int = 4, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(taps)
        self.weight = nn.Parameter(torch.empty(dim, taps).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(dim).uniform_(-bound, bound)) if bias else None

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ConvState:
        width, taps = self.weight.shape
        return ConvState.empty(batch, taps, width, self.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ConvState]:
        assert isinstance(state, ConvState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        y_BtD, past = causal_conv(x_BtD, self.weight, state.past, bias_D=self.bias, mask_BT=ctx.mask, starts_BT=begins)
        return y_BtD, ConvState(past, segment)
