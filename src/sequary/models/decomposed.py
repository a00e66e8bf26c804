"""Two forecasters side by side: one of the trend (a moving average), one of the remainder; their forecasts are summed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.core.contracts import Forecasts
from sequary.core.ctx import Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.given import GivenPoints
from sequary.heads.points import HorizonPoints
from sequary.models.forecaster import Forecaster
from sequary.tokens.series import WholeSeries

TINY = part(
    Forecaster,
    tokens=part(WholeSeries, context=8),
    backbone=part(Stack, depth=0, blocks=()),
    head=part(HorizonPoints, horizon=3),
)


class Decomposed(Forecasts):
    """y = trend(m) + remainder(x − m), m the average over `kernel` steps with both ends repeated; squared error on the sum."""

    tiny = {"trend": TINY, "remainder": TINY, "kernel": 3}

    def __init__(
        self,
        dim: int,
        *,
        trend: Part[Forecasts],
        remainder: Part[Forecasts],
        kernel: int = 25,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.trend, self.remainder, self.kernel = trend.build(here), remainder.build(here), kernel
        self.heads = nn.ModuleDict({"main": GivenPoints(dim)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        x_BCL = batch.values.transpose(1, 2)
        left = (self.kernel - 1) // 2
        ends = F.pad(x_BCL, (left, self.kernel - 1 - left), mode="replicate")
        trend_BLC = F.avg_pool1d(ends, self.kernel, 1).transpose(1, 2)
        slow, fast = Batch(values=trend_BLC), Batch(values=batch.values - trend_BLC)
        return Output(self.trend.mean(self.trend(slow)) + self.remainder.mean(self.remainder(fast)))

    def loss(self, output: Output, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return self.head.loss(output.hidden, target, rng)

    def mean(self, output: Output) -> Tensor:
        return self.head.mean(output.hidden)

    def quantiles(self, output: Output, levels: Sequence[float]) -> Tensor:
        raise NotImplementedError("a sum of two point forecasts has no quantiles")
