"""The two-layer feed-forward with the tanh form of GELU (Hendrycks & Gimpel, arXiv 1606.08415), token by token."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless


class TanhMLP(Recurrent):
    """y = W2 f(W1 x), f(u) = u/2 · (1 + tanh(√(2/π) (u + 0.044715 u³))); hidden width `ratio` · dim."""

    cost = 1.0

    def __init__(self, dim: int, *, ratio: float = 4.0) -> None:
        super().__init__()
        width = round(ratio * dim)
        self.up, self.down = nn.Linear(dim, width), nn.Linear(width, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.down(F.gelu(self.up(x_BTD), approximate="tanh"))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
