"""For models whose hidden values are the estimates themselves: absolute error."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.contracts import Head
from sequary.heads.linear_series import point_error


class Estimates(Head):
    """[...] -> [...], unchanged; loss |estimate − target|."""

    degree = 1

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 1)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)
