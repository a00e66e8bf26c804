"""A diagonal state space whose rates no input changes (DSS), in the simplified form of gated state spaces.

Gupta et al., Diagonal State Spaces are as Effective as Structured State Spaces (arXiv 2203.14343); Mehta et al., Long Range Language
Modeling via Gated State Spaces (arXiv 2206.13947), section 3.1.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.ops.causal_conv import starts
from sequary.ops.diagonal_scan import diagonal_scan
from sequary.ops.long_conv import long_conv


@dataclasses.dataclass(frozen=True, slots=True)
class DiagonalState(State):
    """Hidden entries [B, D, N] (complex ones as 2 N reals, real parts first), and the segment [B] of the last real token."""

    hidden: Tensor
    segment: Tensor

    @staticmethod
    def empty(batch: int, width: int, entries: int, like: Tensor) -> DiagonalState:
        return DiagonalState(
            like.new_zeros(batch, width, entries), like.new_full((batch,), -1, dtype=torch.long)
        )  # fmt: skip


class DiagonalStateSpace(Recurrent):
    """h_t = exp(Λ) h_{t-1} + u_t 1,  y_t = Re (C̃ h_t) + D u_t,  C̃ = C (exp(Λ) − 1) / Λ,  Λ = −exp(a) + i ω.

    `states` complex entries a channel; Λ is one for all channels, its step of 1 absorbed; C a channel's own. a, and log ω where
    `log_rates` (else ω), start normal, as the paper finds that no special start is needed.
    Whole rows are convolved with the kernel Re C̃ exp(Λ l); steps, padding and packed rows run the recurrence.
    """

    cost = 1.0

    def __init__(self, dim: int, *, states: int = 16, log_rates: bool = True) -> None:
        super().__init__()
        self.log_rates = log_rates
        self.decay = nn.Parameter(torch.randn(states))
        self.turn = nn.Parameter(torch.randn(states))
        self.C_real = nn.Parameter(torch.randn(dim, states) / states**0.5)
        self.C_imag = nn.Parameter(torch.randn(dim, states) / states**0.5)
        self.D = nn.Parameter(torch.randn(dim))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if ctx.mask is not None or ctx.segments is not None:
            return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]
        decay, angle, real, imag = self._rates()
        lag_T1 = torch.arange(x_BTD.shape[1], device=x_BTD.device)[:, None]
        size, turned = (decay * lag_T1).exp(), angle * lag_T1
        kernel_TD = (size * turned.cos()) @ real.mT - (size * turned.sin()) @ imag.mT
        return long_conv(x_BTD, kernel_TD) + self.D * x_BTD

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> DiagonalState:
        width, entries = self.C_real.shape
        return DiagonalState.empty(batch, width, 2 * entries, self.D)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, DiagonalState]:
        """A real recurrence for g_t = exp(−i ω r_t) h_t, r_t the number of real tokens so far: what turns is folded into the inputs
        and the read-out, and the scan decays."""
        assert isinstance(state, DiagonalState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        real_Bt = torch.ones(x_BtD.shape[:2], device=x_BtD.device) if ctx.mask is None else ctx.mask
        decay, angle, real, imag = self._rates()
        turned = real_Bt.long().cumsum(1)[..., None, None] * angle
        cos, sin = turned.cos(), turned.sin()
        width, entries = self.C_real.shape
        dt = real_Bt[..., None].to(x_BtD.dtype).expand(-1, -1, width)
        A = decay.repeat(2).expand(width, -1)
        B = torch.cat((cos, -sin), -1).expand(-1, -1, width, -1)
        C = torch.cat((real * cos - imag * sin, -imag * cos - real * sin), -1)
        y, g = diagonal_scan(x_BtD, dt, A, B, C, state.hidden, begins)
        last = slice(-1, None)
        cos, sin = cos[:, last, 0], sin[:, last, 0]
        a, b = g[..., :entries], g[..., entries:]
        hidden = torch.cat((a * cos - b * sin, a * sin + b * cos), -1).to(state.hidden.dtype)
        return y + self.D * x_BtD, DiagonalState(hidden, segment)

    def _rates(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Re Λ and Im Λ [N]; Re C̃ and Im C̃ [D, N]; not narrower than float32, since angles grow with the length."""
        wide = torch.promote_types(self.decay.dtype, torch.float32)
        decay, turn = -self.decay.to(wide).exp(), self.turn.to(wide)
        angle = turn.exp() if self.log_rates else turn
        rate, C = torch.complex(decay, angle), torch.complex(self.C_real.to(wide), self.C_imag.to(wide))
        held = C * ((rate.exp() - 1) / rate)
        return decay, angle, held.real, held.imag
