"""Point forecasts of each channel from its newest token, for tokens that have read those before them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Head
from sequary.heads.linear_series import point_error


class LastSegment(Head):
    """[B, C, N, D] -> [B, H, C]: one linear map D -> H on the last of N tokens, shared by the channels; squared error."""

    tiny = {"horizon": 3}
    degree = 2

    def __init__(self, dim: int, *, horizon: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, horizon)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden[:, :, -1]).transpose(1, 2)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)
