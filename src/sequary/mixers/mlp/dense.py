"""The two-layer feed-forward, token by token (Vaswani et al., 2017, section 3.3)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless
from sequary.ops.dropout import Dropout


class MLP(Recurrent):
    """y = W2 f(W1 x); hidden width `ratio` · dim, or `hidden` where it is given. `dropout` acts after each of the two."""

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        ratio: float = 4.0,
        hidden: int | None = None,
        activation: Literal["gelu", "relu"] = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = round(ratio * dim) if hidden is None else hidden
        self.activation = F.gelu if activation == "gelu" else F.relu
        self.up = nn.Linear(dim, width, bias=bias)
        self.down = nn.Linear(width, dim, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.dropout(self.down(self.dropout(self.activation(self.up(x_BTD)))))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
