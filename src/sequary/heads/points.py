"""Point forecasts: the tokens of each channel, flattened, to the H steps of the horizon."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Head
from sequary.ops.dropout import Dropout


def point_error(prediction: Tensor, target: Tensor, power: int) -> Tensor:
    """|prediction − target|^power, element by element."""
    error = prediction - target
    return error.square() if power == 2 else error.abs()


class HorizonPoints(Head):
    """[B, C, N, D] -> [B, H, C]: one linear map N·D -> H shared by the channels; squared error.

    `tokens` = N. iTransformer has N = 1, PatchTST the number of patches (its flatten head, section 3.1).
    """

    tiny = {"horizon": 3, "tokens": 2}
    degree = 2

    def __init__(self, dim: int, *, horizon: int, tokens: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.out = nn.Linear(tokens * dim, horizon)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.dropout(self.out(hidden.flatten(2))).transpose(1, 2)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)
