"""What a mixer extracts from the past, multiplied by what the current token asks for (Chen, the Extractors, arXiv 2308.07661)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.conv.lags import MatrixLags


class Adjusted(Recurrent):
    """y_t = inner(x)_t ⊙ (A x_t + b)."""

    tiny = {"inner": part(MatrixLags, taps=3)}

    def __init__(self, dim: int, *, inner: Part[Recurrent], place: Place | None = None) -> None:
        super().__init__()
        self.inner = inner.build(Place.here(place, dim))
        self.adjust = nn.Linear(dim, dim)
        self.cost, self.grows, self.orders = self.inner.cost, self.inner.grows, self.inner.orders

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.inner(x_BTD, ctx) * self.adjust(x_BTD)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        return self.inner.init_state(batch, ctx)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        y_BtD, state = self.inner.step(x_BtD, state, ctx)
        return y_BtD * self.adjust(x_BtD), state
