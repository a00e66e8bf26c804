"""A feed-forward with a norm behind each map, the channel mixer of convolutional networks (LMUFormer, arXiv 2402.04882)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import BatchNorm, Norm
from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, Stateless


class NormedMLP(Recurrent):
    """y = ReLU(norm₂(W₂ GELU(norm₁(W₁ x)))), token by token; hidden width `ratio` · dim."""

    cost = 1.0

    def __init__(
        self, dim: int, *, ratio: float = 4.0, norm: Part[Norm] = part(BatchNorm), place: Place | None = None
    ) -> None:
        super().__init__()
        here, width = Place.here(place, dim), round(ratio * dim)
        self.up, self.down = nn.Linear(dim, width), nn.Linear(width, dim)
        self.inner, self.outer = norm.build(here.at(dim=width)), norm.build(here)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        hidden = F.gelu(self.inner(self.up(x_BTD), ctx))
        return F.relu(self.outer(self.down(hidden), ctx))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
