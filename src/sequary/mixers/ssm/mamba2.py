"""Mamba-2: a selective state space whose channels forget together, a head at a time, so that products do its work.

Dao and Gu, Transformers are SSMs (arXiv 2405.21060), sections 6 and 7: state-space duality is causal linear attention with C for
queries, B for keys, dt x for values and one decay a head.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads
from sequary.mixers.conv.short import ShortConv
from sequary.ops.causal_conv import starts
from sequary.ops.linear_attend import linear_attend


@dataclasses.dataclass(frozen=True, slots=True)
class Mamba2State(State):
    """The memory [B, H, N, V], the state of the short convolution, and the segment [B] of the last real token."""

    memory: Tensor
    conv: State
    segment: Tensor


class Mamba2(Recurrent):
    """z, (x, B, C), dt = W_in u;  (x, B, C) ← SiLU(conv(x, B, C));  dt ← softplus(dt + b);
    S_t = exp(dt_t A) S_{t-1} + B_t (dt_t x_t)ᵀ,  y = W_out norm((S_tᵀ C_t + D x_t) ⊙ SiLU(z_t)).

    H = `heads` heads of V = dim · `expand` / H channels with N = `states` entries each; B and C of each of `groups` groups serve
    H / groups heads, and the norm is over a group's channels. A < 0, D and b are one a head; steps start between 0.001 and 0.1.
    """

    cost = 1.0
    tiny = {"heads": 4, "states": 5, "groups": 2}

    def __init__(
        self,
        dim: int,
        *,
        expand: float = 2,
        heads: int = 8,
        states: int = 64,
        groups: int = 1,
        conv: Part[Recurrent] = part(ShortConv, taps=4),
        bias: bool = False,
        eps: float = 1e-5,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        inner = int(dim * expand)
        self.value = check_heads(inner, heads)
        if heads % groups:
            raise ValueError(f"groups={groups} does not divide heads={heads}")
        self.heads, self.groups, self.states, self.eps = heads, groups, states, eps
        self.split = inner, groups * states, groups * states
        self.widths = inner, sum(self.split), heads
        self.inner = nn.Linear(dim, sum(self.widths), bias=bias)
        self.conv, self.act = conv.build(Place.here(place, sum(self.split))), nn.SiLU()
        start = torch.empty(heads).uniform_(math.log(0.001), math.log(0.1)).exp()
        self.dt_bias = nn.Parameter(start + (-(-start).expm1()).log())  # the inverse of softplus
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = nn.Parameter(torch.ones(inner))
        self.out = nn.Linear(inner, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Mamba2State:
        like = self.out.weight
        memory = like.new_zeros(batch, self.heads, self.states, self.value)
        return Mamba2State(memory, self.conv.init_state(batch), like.new_full((batch,), -1, dtype=torch.long))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, Mamba2State]:
        assert isinstance(state, Mamba2State)
        z, xBC, dt = self.inner(x_BtD).split(self.widths, -1)
        xBC, conv = self.conv.step(xBC, state.conv, ctx)
        x, *selected = self.act(xBC).split(self.split, -1)
        x = rearrange(x, "B t (H V) -> B t H V", H=self.heads)
        B, C = (rearrange(s, "B t (G N) -> B t G N", G=self.groups) for s in selected)
        dt_BtH1 = F.softplus(dt + self.dt_bias)[..., None]
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        if ctx.mask is not None:  # a step of no time: padding passes the state on
            dt_BtH1 = dt_BtH1.masked_fill(~ctx.mask[..., None, None], 0)
        g = -self.A_log.exp()[:, None] * dt_BtH1
        if begins is not None:
            g = g.masked_fill(begins[..., None, None], -math.inf)
        y, memory = linear_attend(C, B, dt_BtH1 * x, g, state.memory)
        y = (y + self.D[:, None] * x).flatten(2) * F.silu(z)
        return self.out(self._normed(y)), Mamba2State(memory, conv, segment)

    def _normed(self, y_BtE: Tensor) -> Tensor:
        grouped = rearrange(y_BtE, "B t (G E) -> B t G E", G=self.groups)
        return F.rms_norm(grouped, grouped.shape[-1:], eps=self.eps).flatten(2) * self.norm
