"""The gated linear unit of Activator, whose two halves are normed before they meet (Abdullah & Aydin, arXiv 2405.15953)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless


class NormedGLU(Recurrent):
    """y = W₃ (norm(gelu(W₁ x)) ⊙ norm(W₂ x)), token by token, one norm for both; hidden width `ratio` · dim. No token reads another."""

    cost = 1.0

    def __init__(self, dim: int, *, ratio: float = 2.0, eps: float = 1e-5) -> None:
        super().__init__()
        width = round(ratio * dim)
        self.gate, self.up, self.down = nn.Linear(dim, width), nn.Linear(dim, width), nn.Linear(width, dim)
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.down(self.norm(F.gelu(self.gate(x_BTD))) * self.norm(self.up(x_BTD)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
