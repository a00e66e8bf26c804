"""Damped exponential moving averages, several a channel (Ma et al., Mega, arXiv 2209.10655, section 3.1)."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.ssm.dss import DiagonalState
from sequary.ops.causal_conv import starts
from sequary.ops.diagonal_scan import diagonal_scan
from sequary.ops.long_conv import long_conv


class MovingAverage(Recurrent):
    """h_t = α ⊙ β x_t + (1 − α ⊙ δ) ⊙ h_{t-1},  y_t = η · h_t / √N; α, δ in (0, 1)^N of each channel, N = `states`.

    Whole rows are convolved with the kernel Σ_n η α β (1 − α δ)^l / √N; steps, padding and packed rows run the recurrence.
    """

    cost = 1.0

    def __init__(self, dim: int, *, states: int = 16) -> None:
        super().__init__()
        self.alpha = nn.Parameter(0.2 * torch.randn(dim, states))
        self.delta = nn.Parameter(0.2 * torch.randn(dim, states))
        signs = 1 - 2 * (torch.arange(states) % 2)  # of alternating sign, which the authors found more stable
        self.beta = nn.Parameter(signs + 0.02 * torch.randn(dim, states))
        self.eta = nn.Parameter(torch.randn(dim, states))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if ctx.mask is not None or ctx.segments is not None:
            return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]
        return long_conv(x_BTD, self.kernel(x_BTD.shape[1]))

    def kernel(self, length: int) -> Tensor:
        """[T, D]: what an input is still worth after 0, 1, 2 … steps."""
        rate, weight = self._rates()
        lag_T11 = torch.arange(length, device=rate.device)[:, None, None]
        return ((rate * lag_T11).exp() * weight).sum(-1)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> DiagonalState:
        width, states = self.alpha.shape
        return DiagonalState.empty(batch, width, states, self.alpha)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, DiagonalState]:
        assert isinstance(state, DiagonalState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        rate, weight = self._rates()
        dt = torch.ones_like(x_BtD) if ctx.mask is None else ctx.mask[..., None].to(x_BtD.dtype).expand_as(x_BtD)
        every = (*x_BtD.shape[:2], *rate.shape)
        y, hidden = diagonal_scan(
            x_BtD, dt, rate, torch.ones_like(rate).expand(every), weight.expand(every), state.hidden, begins
        )
        return y, DiagonalState(hidden, segment)

    def _rates(self) -> tuple[Tensor, Tensor]:
        """log(1 − α δ) and η α β / √N [D, N]; not narrower than float32, since 1 − α δ is near 1 for the slow ones."""
        wide = torch.promote_types(self.alpha.dtype, torch.float32)
        alpha, delta, beta, eta = (p.to(wide) for p in (self.alpha, self.delta, self.beta, self.eta))
        alpha, delta = alpha.sigmoid(), delta.sigmoid()
        # 1 would be a rate of minus infinity, 0 times which is no number.
        lost = (alpha * delta).clamp(max=1 - torch.finfo(wide).eps)
        return torch.log1p(-lost), eta * alpha * beta / alpha.shape[1] ** 0.5


class TwoSidedAverage(Mixer):
    """y = past(x) + future(x read backwards): two moving averages, both of which hold the present token."""

    cost = 1.0

    def __init__(self, dim: int, *, states: int = 16) -> None:
        super().__init__()
        self.past, self.future = MovingAverage(dim, states=states), MovingAverage(dim, states=states)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        turned = {n: None if (v := getattr(ctx, n)) is None else v.flip(1) for n in ("mask", "segments")}
        return self.past(x_BTD, ctx) + self.future(x_BTD.flip(1), dataclasses.replace(ctx, **turned)).flip(1)


class SkippedAverage(Recurrent):
    """y = SiLU(average(x) + ω ⊙ x)."""

    cost = 1.0

    def __init__(self, dim: int, *, average: Part[Mixer] = part(MovingAverage), place: Place | None = None) -> None:
        super().__init__()
        self.average = average.build(Place.here(place, dim))
        self.omega = nn.Parameter(torch.randn(dim))
        self.causal, self.recurrent = self.average.causal, self.average.recurrent

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return F.silu(self.average(x_BTD, ctx) + self.omega * x_BTD)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        return self._past().init_state(batch, ctx)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        y_BtD, state = self._past().step(x_BtD, state, ctx)
        return F.silu(y_BtD + self.omega * x_BtD), state

    def _past(self) -> Recurrent:
        if not isinstance(self.average, Recurrent):
            raise NotImplementedError(
                f"{type(self.average).__name__} has no recurrent form, so neither has what holds it"
            )
        return self.average
