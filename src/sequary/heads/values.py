"""Real numbers from a vector: a linear map and squared error."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Head
from sequary.heads.linear_series import point_error


class Values(Head):
    """[..., D] -> [..., outputs]: the channels of a step, or the targets of a regression."""

    tiny = {"outputs": 3}
    degree = 2

    def __init__(self, dim: int, *, outputs: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, outputs)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)
