"""The two-layer feed-forward with Swish (Ramachandran et al., arXiv 1710.05941), token by token: that of the Marian checkpoints."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless


class SwishMLP(Recurrent):
    """y = W2 f(W1 x), f(u) = u σ(u); hidden width `ratio` · dim, or `hidden` where it is given."""

    cost = 1.0

    def __init__(self, dim: int, *, ratio: float = 4.0, hidden: int | None = None) -> None:
        super().__init__()
        width = round(ratio * dim) if hidden is None else hidden
        self.up, self.down = nn.Linear(dim, width), nn.Linear(width, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.down(F.silu(self.up(x_BTD)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
