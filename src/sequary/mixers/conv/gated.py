"""A convolution between two projections, behind a gate (Wu et al., arXiv 1901.10430, figure 2b and 2c)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.conv.light import DynamicConv


class GatedConv(Recurrent):
    """y = W₂ conv(a ⊙ σ(b)), (a, b) = W₁ x: the gated linear unit reads tokens, the convolution their neighbours.

    `hidden`: the width of the convolution, dim unless given. `gated=False`: y = W₂ conv(W₁ x).
    """

    tiny = {"conv": part(DynamicConv, heads=2, taps=3)}
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        conv: Part[Recurrent],
        hidden: int | None = None,
        gated: bool = True,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        hidden, self.gated = dim if hidden is None else hidden, gated
        self.inner = nn.Linear(dim, 2 * hidden if gated else hidden)
        self.conv = conv.build(Place.here(place, hidden))
        self.o = nn.Linear(hidden, dim)
        self.causal, self.recurrent, self.cost = self.conv.causal, self.conv.recurrent, self.conv.cost

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.o(self.conv(self._values(x_BTD), ctx))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        return self.conv.init_state(batch, ctx)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        y_BtD, state = self.conv.step(self._values(x_BtD), state, ctx)
        return self.o(y_BtD), state

    def _values(self, x_BtD: Tensor) -> Tensor:
        return F.glu(self.inner(x_BtD), -1) if self.gated else self.inner(x_BtD)
