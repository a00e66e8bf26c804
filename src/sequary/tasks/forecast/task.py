"""Forecasting as a task: a table in, a model that says what comes after its end out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sequary.core.contracts import Forecasts, Model
from sequary.core.recipe import Recipe
from sequary.data import frames
from sequary.data.errors import DataError
from sequary.data.panel import Panel
from sequary.data.tables import check_lengths, understand
from sequary.data.texts import is_table
from sequary.tasks import task
from sequary.tasks.forecast.contract import Contract
from sequary.tasks.forecast.drift import DriftWarning, drift
from sequary.tasks.forecast.fitted import Fitted
from sequary.tasks.forecast.forecasts import table
from sequary.tasks.forecast.train import probabilities, refuses, train
from sequary.tasks.task import Asked, SavedError, Tell

__all__ = ["CONTRACT", "DATA", "SAVED", "fit", "reads", "refuses", "reopen"]

DATA = "a table"
CONTRACT = Contract
SHORT = 96
"""The longest season that is a horizon by itself."""


class Saved(task.Saved):
    verbs = ("predict(df)",)
    fitted: Fitted
    contract: Contract

    def predict(self, df: Any, horizon: int | None = None, levels: Sequence[float] | None = None) -> Any:
        """Forecasts of what follows the end of each series, as the same kind of table with the same column names.

        Args:
            df: a dataframe or the path of a table, like that of training: new rows and unseen series are welcome.
            horizon: steps ahead, at most those of training; None: all of them.
            levels: shares of the intervals, which become columns `y-lo-80`, `y-hi-80`; None: those of training.

        Warns:
            DriftWarning: range, frequency, missing share or categories are not those of training.

        Raises:
            DataError: a column is missing, or the table cannot be read in one way only.
        """
        contract = self.contract
        steps = self._steps(horizon)
        source = str(df) if isinstance(df, str | Path) else "dataframe"
        frame = selected(frames.read(df), contract.columns().names(), source)
        panel, _ = understand(
            frame,
            source=source,
            columns=contract.columns(),
            categories=contract.categories,
            frequency=self.fitted.schema.frequency,
        )
        for finding in drift(contract, frame, panel):
            warnings.warn(finding, DriftWarning, stacklevel=2)
        shares = tuple(contract.levels if levels is None else levels)
        found = self.fitted.forecast(panel, probabilities(shares))
        return frames.like(df, table(found, panel, shares, steps, named=contract.id is not None), frame)

    def _steps(self, horizon: int | None) -> int:
        most = self.contract.horizon
        steps = most if horizon is None else horizon
        if not 1 <= steps <= most:
            what = f"horizon={steps} is not between 1 and {most}, what the model was fitted for"
            mend = f"fit again with --horizon {steps}" if steps > 0 else "ask for 1"
            raise SavedError(what, file=self.folder, mend=mend)
        return steps


SAVED = Saved


def selected(frame: pl.DataFrame, wanted: Sequence[str], source: str) -> pl.DataFrame:
    """The columns that a model was fitted with; others are nobody's business."""
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        what = f"column {missing[0]!r}, which the model was fitted with, is missing"
        mend = f"give {', '.join(wanted)}; the table has {', '.join(frame.columns[:12])}"
        raise DataError(what, file=source, mend=mend)
    return frame.select(wanted)


def reads(path: str) -> bool:
    return is_table(path)


def fit(recipe: Recipe, data: str, asked: Asked, tell: Tell) -> Fitted:
    panel, ahead = _panel(data, asked, tell)
    levels = (0.8, 0.95) if asked.levels is None else asked.levels
    fitted = train(recipe, panel, asked.training(), horizon=ahead, levels=levels)
    _tell_padded(panel, fitted.context, ahead, tell)
    return fitted


def reopen(recipe: Recipe, model: Model, contract: Contract) -> Fitted:
    if not isinstance(model, Forecasts):
        raise ValueError("the recipe is no forecaster")
    return Fitted(
        recipe=recipe,
        model=model,
        scaler=contract.scales.scaler(),
        conformal=contract.intervals(),
        difficulty={id: np.array(one) for id, one in contract.difficulty.items()},
        native=contract.native,
        context=contract.context,
        horizon=contract.horizon,
        levels=contract.levels,
        schema=contract.schema_(),
        ranges=contract.ranges,
        record=contract.record.record(),
    )


def _panel(data: str, asked: Asked, tell: Tell) -> tuple[Panel, int]:
    """The series that are long enough, and the horizon: one season, or 12 steps where there is none, unless it is given."""
    if asked.horizon is not None and asked.horizon < 1:
        raise ValueError(f"--horizon {asked.horizon}: at least one step is needed")
    panel, understood = understand(frames.read(data), source=data, columns=asked.columns)
    season = panel.frequency.season
    ahead = asked.horizon or (season if 1 < season <= SHORT else 12)
    panel, short = check_lengths(panel, ahead + 1, source=data)
    for line in (*understood.lines(), *(f"note: {line}" for line in short)):
        tell(line)
    if asked.horizon is None:
        tell(f"horizon: {ahead}, since none is given ({'one season' if ahead == season else 'no short season'})")
    return panel, ahead


def _tell_padded(panel: Panel, context: int, ahead: int, tell: Tell) -> None:
    """Names the series that are shorter than a window: they take part, padded."""
    short = [s.id for s in panel.series if len(s) < context + ahead]
    if short:
        named = ", ".join(map(repr, short[:5])) + (f" and {len(short) - 5:,} more" if len(short) > 5 else "")
        tell(f"note: shorter than context {context} + horizon {ahead}, so that windows begin with padding: {named}")
