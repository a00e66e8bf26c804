"""From tokens that are time steps to the steps of the horizon."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Head
from sequary.heads.linear_series import point_error


class StepsHorizon(Head):
    """[B, 1, L, D] -> [B, H, C]: a linear map over time, L -> H, then one over features, D -> C; squared error."""

    tiny = {"context": 4, "horizon": 3, "channels": 2}
    toy = {"lead": (3, 1, 4)}
    degree = 2

    def __init__(self, dim: int, *, context: int, horizon: int, channels: int) -> None:
        super().__init__()
        self.time = nn.Linear(context, horizon)
        self.out = nn.Linear(dim, channels)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(self.time(hidden[:, 0].transpose(1, 2)).transpose(1, 2))

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)
