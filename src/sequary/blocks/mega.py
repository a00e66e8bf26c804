"""The Mega block: a moving average feeds queries and keys of a single head, a gate of its output, and a gate of the residual.

Ma et al., Mega: Moving Average Equipped Gated Attention (arXiv 2209.10655), section 3.3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, NoNorm, Norm
from sequary.blocks.residual import advance, start
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.single_head import Reader, SingleHead
from sequary.mixers.linear.features import silu
from sequary.mixers.ssm.moving_average import SkippedAverage


@dataclasses.dataclass(frozen=True, slots=True)
class MegaState(State):
    average: State
    read: State


class Mega(Recurrent):
    """m = average(y), y = norm(x);  z = SiLU(W_z m), q = κ₁ ⊙ z + μ₁, k = κ₂ ⊙ z + μ₂, v = f(W_v y), o = read(q, k, v);
    γ = SiLU(W_γ m), φ = σ(W_φ m), h = f(W_h m + U (γ ⊙ o));  x ← after(x + φ ⊙ (h − x)).

    q and k of width `key` (None: a quarter of dim), v of width `hidden` (None: 2 dim); f = `activation`. `average`: what gives the block
    its places, a recurrent mixer or one that sees both sides; `read`: how values are read.
    """

    def __init__(
        self,
        dim: int,
        *,
        key: int | None = None,
        hidden: int | None = None,
        average: Part[Mixer] = part(SkippedAverage),
        read: Part[Reader] = part(SingleHead),
        activation: Callable[[Tensor], Tensor] = silu,
        norm: Part[Norm] = part(LayerNorm),
        after: Part[Norm] = part(NoNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        key, hidden = max(2, dim // 4) if key is None else key, 2 * dim if hidden is None else hidden
        self.widths, self.activation, self.hidden = (dim, key, hidden, dim), activation, hidden
        self.norm, self.after = norm.build(here), after.build(here)
        self.average, self.read = average.build(here), read.build(Place.here(place, key))
        self.v, self.mixed, self.out = nn.Linear(dim, hidden), nn.Linear(dim, sum(self.widths)), nn.Linear(hidden, dim)
        for linear in (self.v, self.mixed, self.out):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        self.scale = nn.Parameter(0.02 * torch.randn(2, key))
        self.shift = nn.Parameter(torch.zeros(2, key))
        both = (self.average, self.read)
        self.causal, self.recurrent = all(p.causal for p in both), all(p.recurrent for p in both)
        self.smooth, self.grows, self.cost = self.read.smooth, self.read.grows, max(p.cost for p in both)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        y_BTD = self.norm(x_BTD, ctx)
        return self.gated(x_BTD, y_BTD, self.average(y_BTD, ctx), lambda q, k, v: self.read(q, k, v, ctx), ctx)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> MegaState:
        return MegaState(start(self.average, batch, ctx), self.read.init_state(batch, self.hidden, self.scale))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, MegaState]:
        assert isinstance(state, MegaState)
        after: list[State] = []

        def read(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            o_BtV, new = self.read.step(q, k, v, state.read, ctx)
            after.append(new)
            return o_BtV

        y_BtD = self.norm(x_BtD, ctx)
        m_BtD, average = advance(self.average, y_BtD, state.average, ctx)
        out = self.gated(x_BtD, y_BtD, m_BtD, read, ctx)
        return out, MegaState(average, after[0])

    def gated(
        self, x_BTD: Tensor, y_BTD: Tensor, m_BTD: Tensor, read: Callable[[Tensor, Tensor, Tensor], Tensor], ctx: Ctx
    ) -> Tensor:
        """The block's output from x, y = norm(x) and m = average(y)."""
        update, z, reset, h = self.mixed(m_BTD).split(self.widths, -1)
        q, k = (F.silu(z)[..., None, :] * self.scale + self.shift).unbind(-2)
        o = read(q, k, self.activation(self.v(y_BTD)))
        h = self.activation(h + self.out(F.silu(reset) * o))
        return self.after(x_BTD + update.sigmoid() * (h - x_BTD), ctx)
