"""The Mamba block: a selective state-space model, whose steps and projections depend on the input.

Gu and Dao, Mamba (arXiv 2312.00752), sections 3.2 and 3.4.
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
from sequary.mixers.conv.short import ShortConv
from sequary.ops.causal_conv import starts
from sequary.ops.diagonal_scan import diagonal_scan, scan_matrix


@dataclasses.dataclass(frozen=True, slots=True)
class MambaState(State):
    """Hidden entries [B, E, N] of E inner channels, the state of the convolution, and the segment [B] of the last real token."""

    hidden: Tensor
    conv: State
    segment: Tensor


class Mamba(Recurrent):
    """u, z = W_in x;  u ← SiLU(conv(u));  dt, B, C from u;  h_t = exp(dt_t A) h_{t-1} + dt_t B_t u_t;
    y = W_out ((C_t·h_t + D u_t) ⊙ SiLU(z_t)).

    E = dim · `expand` inner channels of N = `states` entries; dt through a bottleneck of `rank` (None: dim/16, rounded up) and
    softplus, its bias drawn so that steps start between `dt_min` and `dt_max`, evenly in their logarithm. A starts at -1 … -N.

    Leaves on the tape, where asked: "hidden_attention" [B, E, T, T], the matrix that takes "scan_input" [B, T, E] to
    "scan_output" [B, T, E] in each channel (without the skip D and the gate); forward only.
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        expand: float = 2,
        states: int = 16,
        rank: int | None = None,
        conv: Part[Recurrent] = part(ShortConv, taps=4),
        bias: bool = False,
        dt_min: float = 1e-3,
        dt_max: float = 0.1,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        inner, rank = int(dim * expand), -(-dim // 16) if rank is None else rank
        self.split = rank, states, states
        self.inner = nn.Linear(dim, 2 * inner, bias=bias)
        self.conv = conv.build(Place.here(place, inner))
        self.select = nn.Linear(inner, sum(self.split), bias=False)
        self.dt = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out = nn.Linear(inner, dim, bias=bias)
        with torch.no_grad():
            nn.init.uniform_(self.dt.weight, -(rank**-0.5), rank**-0.5)
            start = torch.empty(inner).uniform_(math.log(dt_min), math.log(dt_max)).exp().clamp(min=1e-4)
            self.dt.bias.copy_(start + (-(-start).expm1()).log())  # the inverse of softplus

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> MambaState:
        like = self.out.weight
        return MambaState(
            like.new_zeros(batch, *self.A_log.shape),
            self.conv.init_state(batch),
            like.new_full((batch,), -1, dtype=torch.long),
        )

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, MambaState]:
        assert isinstance(state, MambaState)
        u, z = self.inner(x_BtD).chunk(2, -1)
        u, conv = self.conv.step(u, state.conv, ctx)
        u = F.silu(u)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        low, B, C = self.select(u)[:, :, None].split(self.split, -1)  # one group: B and C serve all channels
        dt, A = F.softplus(self.dt(low[:, :, 0])), -self.A_log.exp()
        if ctx.mask is not None:  # a step of no time: padding passes the state on
            dt = dt.masked_fill(~ctx.mask[..., None], 0)
        y, hidden = diagonal_scan(u, dt, A, B, C, state.hidden, begins)
        ctx.tell("hidden_attention", lambda: scan_matrix(dt, A, B, C, begins))
        ctx.tell("scan_input", lambda: u)
        ctx.tell("scan_output", lambda: y)
        return self.out((y + self.D * u) * F.silu(z)), MambaState(hidden, conv, segment)
