"""Connections with a weight and a delay that are both learnt: kernels of one bump a synapse, whose place is a parameter.

Hammouamri, Khalfaoui-Hassani and Masquelier, Learning Delays in Spiking Neural Networks (arXiv 2306.17670); the kernels are those of
Khalfaoui-Hassani et al., Dilated Convolution with Learnable Spacings (arXiv 2112.03740).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.conv.short import ConvState
from sequary.ops.causal_conv import starts
from sequary.ops.taps import taps


class Bump(nn.Module):
    """How a synapse's weight spreads over the lags near its delay, by their distance to it and its width s."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, gap: Tensor, spread: Tensor) -> Tensor:
        raise NotImplementedError


class Gaussian(Bump):
    """exp(−(gap / (|s| + 0.27))² / 2): at s = 0 and a whole delay, nearly all on one lag."""

    def forward(self, gap: Tensor, spread: Tensor) -> Tensor:
        # No less than exp(-60), which changes no sum: subnormal numbers would make the convolution several times as slow.
        return (-(gap / (spread.abs() + 0.27)).square() / 2).clamp(min=-60).exp()


class Triangle(Bump):
    """max(0, |s| + 1 − |gap|): at s = 0 linear interpolation between the two lags around the delay."""

    def forward(self, gap: Tensor, spread: Tensor) -> Tensor:
        return (spread.abs() + 1 - gap.abs()).relu()


class Delayed(Recurrent):
    """An interface: y_t = b + Σ_i Σ_l W_l[:, i] x_{t−l, i},  W_l = Σ_n w_n bump(l − d_n, s_n) / Σ_l bump(l − d_n, s_n),  l = 0 … `longest`.

    Each of `count` synapses from input i to output o has a weight w, a delay d and a width s [D, I, count]; the widths are a buffer,
    which training narrows (objectives/narrowing.py), and subclasses hold the delays. `inputs`: the width of x, dim unless given.
    `pace`: how many times as fast as weights delays learn. They are kept in units of it, since Adam moves each number by about the
    learning rate a step, and a delay has whole steps to go.
    """

    delay: Tensor
    """[D, I, count], in units of `pace` time steps."""

    tiny = {"longest": 4}
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        longest: int = 24,
        count: int = 1,
        inputs: int | None = None,
        bias: bool = False,
        bump: Part[Bump] = part(Gaussian),
        spread: float = 0.0,
        pace: float = 1.0,
    ) -> None:
        super().__init__()
        self.pace = pace
        self.longest, self.inputs = longest, dim if inputs is None else inputs
        shape = dim, self.inputs, count
        self.weight = nn.Parameter(torch.randn(shape) * math.sqrt(2 / (self.inputs * count)))
        self.spread: Tensor
        self.register_buffer("spread", torch.full(shape, spread))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None
        self.bump = bump.build(Place(dim))
        self.place(longest * torch.rand(shape) / pace)

    def place(self, drawn: Tensor) -> None:
        """Keep `drawn`, uniform in 0 … `longest` / `pace`, as `delay`."""
        raise NotImplementedError

    def kernel(self) -> Tensor:
        """[D, I, K], the oldest lag first."""
        lag_K = torch.arange(self.longest, -1, -1, device=self.delay.device, dtype=self.delay.dtype)
        bumps = self.bump(lag_K - self.pace * self.delay[..., None], self.spread[..., None])
        return (bumps / (bumps.sum(-1, keepdim=True) + 1e-7) * self.weight[..., None]).sum(2)

    @torch.no_grad()
    def whole(self) -> None:
        """Delays within reach and rounded, bumps as narrow as they get: what spiking hardware takes."""
        self.confine()
        self.delay.copy_((self.pace * self.delay).round() / self.pace)
        self.spread.zero_()

    @torch.no_grad()
    def confine(self) -> None:
        """Bring delays that have left the kernel back to its ends."""
        self.delay.clamp_(0, self.longest / self.pace)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if ctx.mask is not None or ctx.segments is not None:
            return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]
        return F.conv1d(F.pad(x_BTD.mT, (self.longest, 0)), self.kernel(), self.bias).mT

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ConvState:
        return ConvState.empty(batch, self.longest + 1, self.inputs, self.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ConvState]:
        assert isinstance(state, ConvState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        near, past = taps(x_BtD, state.past, mask_BT=ctx.mask, starts_BT=begins)
        y_BtD = torch.cat(near, -1) @ self.kernel().transpose(1, 2).flatten(1).mT
        return y_BtD if self.bias is None else y_BtD + self.bias, ConvState(past, segment)


class DelayedConv(Delayed):
    """Delays are learnt, from where they are drawn on."""

    def place(self, drawn: Tensor) -> None:
        self.delay = nn.Parameter(drawn)


class FixedDelays(Delayed):
    """Delays stay as they are drawn."""

    def place(self, drawn: Tensor) -> None:
        self.register_buffer("delay", drawn)
