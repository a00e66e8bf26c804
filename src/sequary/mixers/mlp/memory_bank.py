"""A soft look-up of learnt vectors, token by token (Acharya, Gated Associative Memory, arXiv 2509.00605)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless


class MemoryBank(Recurrent):
    """y_t = Mᵀ softmax(M x_t), M [slots, D] learnt and the same for every sequence: no token reads another."""

    tiny = {"slots": 5}
    cost = 1.0

    def __init__(self, dim: int, *, slots: int = 512) -> None:
        super().__init__()
        self.bank = nn.Parameter(nn.init.xavier_uniform_(torch.empty(slots, dim)))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return (x_BTD @ self.bank.T).softmax(-1) @ self.bank

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
