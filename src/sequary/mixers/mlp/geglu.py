"""The feed-forward gated by GELU, in its tanh form (Shazeer, GLU Variants Improve Transformer, arXiv 2002.05202)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless


class GEGLU(Recurrent):
    """y = W_down (gelu(W_gate x) ⊙ W_up x); hidden width `ratio` · dim, or `hidden`."""

    cost = 1.0

    def __init__(self, dim: int, *, ratio: float = 8 / 3, hidden: int | None = None) -> None:
        super().__init__()
        width = round(ratio * dim) if hidden is None else hidden
        self.gate, self.up = nn.Linear(dim, width, bias=False), nn.Linear(dim, width, bias=False)
        self.down = nn.Linear(width, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.down(F.gelu(self.gate(x_BTD), approximate="tanh") * self.up(x_BTD))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
