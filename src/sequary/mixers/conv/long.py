"""Long causal convolutions whose kernel is coarser and smaller the further back it reaches, alone and behind a short one.

Li et al., What Makes Convolutional Models Great on Long Sequence Modeling? (arXiv 2210.09298), section 3, for the kernel; Liu et al., CHELA
(arXiv 2406.08128), for short and long ones together.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.conv.short import ConvState, ShortConv
from sequary.ops.causal_conv import causal_conv, starts
from sequary.ops.long_conv import long_conv


class LongConv(Recurrent):
    """y_t = D ⊙ x_t + Σ_{l<K} k_l ⊙ x_{t−l}, K = `width` · 2^(`scales` − 1): the first `width` taps are weights of their own, then
    come `width` runs of 1, 2, 4 … equal taps, each scale `decay` times the one before. Kernels start with norm 1.

    Whole rows are convolved by FFT; steps, padding and packed rows tap by tap, from a state of the last K − 1 inputs.
    """

    cost = 1.0

    def __init__(self, dim: int, *, width: int = 8, scales: int = 4, decay: float = 0.5) -> None:
        super().__init__()
        self.decay = decay
        self.taps = width << (scales - 1)
        self.weight = nn.Parameter(torch.randn(scales, width, dim))
        self.D = nn.Parameter(torch.randn(dim))
        with torch.no_grad():
            self.weight.div_(self.kernel().square().sum(0).sqrt())

    def kernel(self) -> Tensor:
        """[K, D], the tap of the present first."""
        first, *coarse = self.weight
        runs = [w.repeat_interleave(1 << n, 0) * self.decay ** (n + 1) for n, w in enumerate(coarse)]
        return torch.cat([first, *runs])

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if ctx.mask is not None or ctx.segments is not None:
            return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]
        length = x_BTD.shape[1]
        return self.D * x_BTD + long_conv(x_BTD, F.pad(self.kernel(), (0, 0, 0, length))[:length])

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ConvState:
        return ConvState.empty(batch, self.taps, self.weight.shape[2], self.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ConvState]:
        assert isinstance(state, ConvState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        weight_DK = self.kernel().flip(0).mT
        y_BtD, past = causal_conv(x_BtD, weight_DK, state.past, mask_BT=ctx.mask, starts_BT=begins)
        return y_BtD + self.D * x_BtD, ConvState(past, segment)


class ShortLongConv(Recurrent):
    """y = long(SiLU(short(x))): neighbours first, in detail, then the distant past."""

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        short: Part[Recurrent] = part(ShortConv, taps=4),
        long: Part[Recurrent] = part(LongConv),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.short, self.long = short.build(here), long.build(here)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.long(F.silu(self.short(x_BTD, ctx)), ctx)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States((self.short.init_state(batch, ctx), self.long.init_state(batch, ctx)))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, States]:
        assert isinstance(state, States)
        y_BtD, short = self.short.step(x_BtD, state.each[0], ctx)
        y_BtD, long = self.long.step(F.silu(y_BtD), state.each[1], ctx)
        return y_BtD, States((short, long))
