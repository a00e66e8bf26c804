"""Point forecasts: the tokens of each channel, flattened, to the H steps of the horizon."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.contracts import Head
from sequary.heads.linear_series import linear_map, point_error
from sequary.ops.dropout import Dropout


class HorizonPoints(Head):
    """[B, C, N, D] -> [B, H, C]: one linear map N·D -> H shared by the channels; squared error.

    `tokens` = N. iTransformer has N = 1, PatchTST the number of patches (its flatten head, section 3.1). `own` = number of
    channels for weights of each channel's own.
    """

    tiny = {"horizon": 3, "tokens": 2}
    degree = 2

    def __init__(
        self, dim: int, *, horizon: int, tokens: int = 1, own: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.out = linear_map(tokens * dim, horizon, own)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.dropout(self.out(hidden.flatten(2))).transpose(1, 2)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)
