"""A fitted forecaster: a model, the scale of its data, its intervals, and the record of its training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequary.core.contracts import Forecasts
from sequary.core.values import Batch
from sequary.data.panel import Floats, Forecast, Panel, Series
from sequary.data.scaling import Pair, Scaler
from sequary.data.windows import Bank, Windows
from sequary.tasks.fitted import Fit
from sequary.tasks.forecast.conformal import Conformal
from sequary.tasks.forecast.floors import known_values
from sequary.tasks.forecast.metrics import lag_mae
from sequary.train.evaluation import moved
from sequary.train.learning import evaluating

AT_ONCE = 256
"""Windows in one forward pass of inference."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Fit):
    task: ClassVar[str] = "forecast"
    model: Forecasts
    scaler: Scaler
    conformal: Conformal
    """From the last part of the training data, for models without quantiles of their own."""
    difficulty: Mapping[str, Floats]
    """Series of the training -> [C], the unit of `conformal` over the scaler's size."""
    native: bool
    """The model has quantiles of its own."""
    horizon: int
    levels: tuple[float, ...]
    """Shares of the intervals that are given unless others are asked for."""
    schema: Panel
    """The panel of the training data without its series: columns, frequency, categories, layout."""
    ranges: Mapping[str, tuple[float, float, float]]
    """Column -> least and greatest value, share of missing ones; for targets and covariates that are numbers."""

    def forecast(self, panel: Panel, levels: Sequence[float]) -> list[Forecast]:
        """The `horizon` steps after the end of each series. `levels` are probabilities in (0, 1), as floors take them.

        Series need not be those of the training; columns must. The same panel gives the same bits.

        Raises:
            ValueError: other channels.
            EmptyHistory: a channel of which nothing is known, here or from training.
        """
        if panel.channels != self.schema.channels:
            raise ValueError(f"fitted on channels {self.schema.channels}, given {panel.channels}; fit again on these")
        scales = [self._scale(panel, series) for series in panel.series]
        bank = Bank.of(panel, self.scaler, before=self.context, after=self.horizon)
        order = np.arange(len(panel.series))
        source = Windows(bank, context=self.context, horizon=self.horizon, series=order, origins=bank.lengths)
        times = {last: panel.frequency.extend(last, self.horizon) for last in {s.times[-1] for s in panel.series}}
        each = predicted(self.model, source, levels if self.native else (), torch.device(self.device))
        usual_C = np.empty(0) if self.native else np.median(list(self.difficulty.values()), axis=0)
        return [
            self._forecast(series, pair, usual_C, times[series.times[-1]], mean_HC, quantiles_HCQ, levels)
            for series, pair, (mean_HC, quantiles_HCQ) in zip(panel.series, scales, each, strict=True)
        ]

    def _scale(self, panel: Panel, series: Series) -> Pair:
        shift, size = self.scaler.of(series)
        if not (size > 0).all():
            known_values(panel, series)
        return shift, size

    def _forecast(
        self,
        series: Series,
        pair: Pair,
        usual_C: Floats,
        times_H: NDArray[np.generic],
        mean_HC: Floats,
        quantiles_HCQ: Floats,
        levels: Sequence[float],
    ) -> Forecast:
        shift, size = pair
        mean = shift + size * mean_HC
        if self.native:
            bounds = np.moveaxis(shift[:, None] + size[:, None] * quantiles_HCQ, 2, 0)
            quantiles = dict(zip(levels, bounds, strict=True))
        else:
            quantiles = self.conformal.quantiles(mean, self._unit(series, size, usual_C), levels)
        return Forecast(id=series.id, times=times_H, mean=mean, quantiles=quantiles)

    def _unit(self, series: Series, size_C: Floats, usual_C: Floats) -> Floats:
        """[C] of a series of training as it was there, however much of it is given; of another its own MASE scale.

        What is given of another may hold no season: then its size stands in, with the usual difficulty.
        """
        if series.id in self.difficulty:
            return size_C * self.difficulty[series.id]
        own_C = lag_mae(series.values, self.schema.frequency.season)
        return np.where(own_C > 1e-12 * size_C, own_C, size_C * usual_C)


def predicted(
    model: Forecasts, source: Windows, levels: Sequence[float], where: torch.device
) -> Iterator[tuple[Floats, Floats]]:
    """For each window in turn [H, C] means and [H, C, Q] quantiles, not crossing, scaled; a batch at a time."""
    with evaluating(model):
        for rows in torch.arange(len(source)).split(AT_ONCE):
            mean, quantiles = _pass(model, moved(source.batch(rows), where), levels)
            yield from zip(mean.numpy(), quantiles.numpy(), strict=True)


@torch.inference_mode()
def _pass(model: Forecasts, batch: Batch, levels: Sequence[float]) -> tuple[Tensor, Tensor]:
    output = model(batch)
    mean = model.mean(output)
    quantiles = model.quantiles(output, levels).sort(-1).values if levels else mean.new_empty((*mean.shape, 0))
    return mean.double().cpu(), quantiles.double().cpu()
