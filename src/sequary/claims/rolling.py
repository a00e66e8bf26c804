"""A panel cut into a training, a validation and a test part, and a forecaster's errors on every window of the last."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sequary.core.contracts import Forecasts
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.data.panel import Panel
from sequary.data.scaling import Scaler
from sequary.data.windows import Bank, Windows
from sequary.objectives.forecast import Forecast
from sequary.tasks.forecast.train import prepare
from sequary.tasks.training import altered
from sequary.train.evaluation import evaluate
from sequary.train.loop import fit
from sequary.train.seeds import derive, forked


@dataclasses.dataclass(frozen=True, slots=True)
class Rolling:
    """`ends`: where the training, the validation and the test part end, in steps, the same for all series.

    Standardised on the training part. A window belongs to the part in which all of its horizon lies; look-backs may reach
    into the part before.
    """

    panel: Panel
    ends: tuple[int, int, int]
    context: int
    horizon: int

    def parts(self) -> tuple[Windows, Windows, Windows]:
        count = len(self.panel.series)
        bank = Bank.of(
            self.panel.cut([self.ends[2]] * count),
            Scaler.fit(self.panel.cut([self.ends[0]] * count)),
            before=self.context,
            after=self.horizon,
        )
        edges = ((self.context, self.ends[0]), (self.ends[0], self.ends[1]), (self.ends[1], self.ends[2]))
        train, validation, test = (
            Windows.between(
                bank,
                context=self.context,
                horizon=self.horizon,
                first=np.full(count, first),
                last=np.full(count, last - self.horizon),
            )
            for first, last in edges
        )
        return train, validation, test

    def run(self, recipe: Recipe, settings: Mapping[str, Any], seed: int) -> tuple[Forecasts, float]:
        """The model trained with early stopping, and its loss on validation."""
        train, validation, _ = self.parts()
        bound = prepare(altered(recipe, settings), self.panel, context=self.context, horizon=self.horizon)
        with forked(torch.device("cpu")):
            torch.manual_seed(derive(seed, "weights"))
            model = bound.build()
        assert isinstance(model, Forecasts)
        fit(model, bound.stages[0], train, validation, seed=seed)
        return model, evaluate(model, bound.stages[0].objective, validation, batch=512, seed=0)

    @torch.no_grad()
    def errors(self, model: Forecasts) -> dict[str, float]:
        """mse, mae and the model's own loss (pinball for quantile heads) over every known step of every test window, in units of
        the training part's deviation."""
        _, _, test = self.parts()
        mse, mae = _errors(test, lambda batch: model.mean(model(batch)))
        return {"mse": mse, "mae": mae, "pinball": evaluate(model, Forecast(), test, batch=256, seed=0)}

    def naive(self, season: int) -> dict[str, float]:
        """The same of the value one season before; a point is all quantiles at once, and over symmetric levels its mean pinball
        loss is half the absolute error."""
        _, _, test = self.parts()
        lags = torch.arange(self.horizon) % season - season
        mse, mae = _errors(test, lambda batch: batch.values[:, lags + self.context])
        return {"mse": mse, "mae": mae, "pinball": mae / 2}


def _errors(windows: Windows, say: Callable[[Batch], Tensor]) -> tuple[float, float]:
    totals = torch.zeros(3, dtype=torch.float64)
    for rows in torch.arange(len(windows)).split(256):
        batch = windows.batch(rows)
        assert batch.target is not None
        real: Tensor = torch.ones_like(batch.target) if batch.weight is None else batch.weight.to(batch.target)
        gap = (say(batch) - batch.target) * real
        totals += torch.stack([gap.double().square().sum(), gap.double().abs().sum(), real.double().sum()])
    return float(totals[0] / totals[2]), float(totals[1] / totals[2])
