"""Each time step is one token, all channels together: what transformers of time series did before patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.ctx import Ctx
from sequary.core.values import Batch
from sequary.tokens.series import SeriesTokens


class TimeSteps(SeriesTokens):
    """[B, L, C] -> [B, L, D] by a linear map of the channels, plus a learned position; missing steps are masked."""

    tiny = {"context": 8, "channels": 2}

    def __init__(self, dim: int, *, context: int, channels: int) -> None:
        super().__init__()
        self.embed = nn.Linear(channels, dim)
        self.positions = nn.Parameter(torch.empty(context, dim).uniform_(-0.02, 0.02))

    def fold(self, values_BLC: Tensor, batch: Batch, ctx: Ctx) -> tuple[Tensor, Ctx]:
        return self.embed(values_BLC) + self.positions, ctx

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        """[B, 1, L, D]: the tokens belong to all channels."""
        return x[:, None]
