"""A norm as a block of its own: what brings embeddings to unit size before blocks that have no norms."""

from __future__ import annotations

from torch import Tensor

from sequary.blocks.norms import Norm, RMSNorm
from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, Stateless


class Normalised(Recurrent):
    """y = norm(x), token by token."""

    cost = 1.0

    def __init__(self, dim: int, *, norm: Part[Norm] = part(RMSNorm), place: Place | None = None) -> None:
        super().__init__()
        self.norm = norm.build(Place.here(place, dim))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.norm(x_BTD, ctx)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
