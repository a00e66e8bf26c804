"""The mixer that does nothing: what a block without a feed-forward, or a control without mixing, holds."""

from __future__ import annotations

from torch import Tensor

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless


class Identity(Recurrent):
    """y = x."""

    cost = 1.0

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return x_BTD

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return x_BtD, state
