"""Detection as a task: a table in, how abnormal each of its rows is out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import polars as pl

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.data import frames
from sequary.data.panel import Floats, Panel
from sequary.data.tables import check_lengths, understand
from sequary.data.texts import is_table
from sequary.data.zones import restore
from sequary.tasks import task
from sequary.tasks.detect.alarms import RATE
from sequary.tasks.detect.contract import Contract
from sequary.tasks.detect.fitted import Fitted
from sequary.tasks.detect.rows import ADDED, EVENT, events, marked
from sequary.tasks.detect.train import refuses, train
from sequary.tasks.forecast.task import selected
from sequary.tasks.impute.cells import Places, check_free
from sequary.tasks.task import Asked, Tell

__all__ = ["CONTRACT", "DATA", "SAVED", "fit", "reads", "refuses", "reopen"]

DATA = "a table"
CONTRACT = Contract
LEAST = 32
"""Steps below which a series is left out of training."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    table: Any
    """As it came, with the columns `score` and `anomaly`."""
    events: pl.DataFrame
    threshold: float


class Saved(task.Saved):
    verbs = ("detect(df)", "found(df)")
    fitted: Fitted
    contract: Contract

    def detect(self, df: Any, alarms: float = RATE) -> Any:
        """The same table with the columns `score`, from 0 to 1, and `anomaly`, 1 where it is above the threshold.

        The score of the last rows may change when more rows come: `fitted.delay` steps of them.

        Args:
            df: a dataframe or the path of a table with the columns of training: new rows and unseen series are welcome.
            alarms: per 1000 steps, that normal data may cause; the threshold is the least with at most as many among the
                rows that training held out.

        Raises:
            DataError: a column is missing, one is called as those that are added, or the table cannot be read in one way.
            ValueError: a number of alarms of which the held-out rows tell nothing.
        """
        return self.found(df, alarms).table

    def found(self, df: Any, alarms: float = RATE) -> Found:
        """The table, and its events: anomalies that lie close together as one row with start and end."""
        threshold = self.fitted.threshold.at(alarms)
        source = str(df) if isinstance(df, str | Path) else "dataframe"
        frame = frames.read(df)
        check_free(frame.columns, ADDED, source, "detect")
        check_free([self.contract.id or ""], EVENT, source, "a table of events")
        panel, places = self._panel(frame, source)
        scores = self.fitted.scores(panel)
        given = frame if isinstance(df, str | Path) else df
        return Found(
            table=marked(given, len(frame), places, scores, threshold),
            events=self._events(panel, scores, threshold, frame[panel.time_name]),
            threshold=threshold,
        )

    def _panel(self, frame: pl.DataFrame, source: str) -> tuple[Panel, Places]:
        columns, frequency = self.contract.columns(), self.fitted.schema.frequency
        own = selected(frame, columns.names(), source)
        panel, _ = understand(own, source=source, columns=columns, frequency=frequency)
        return panel, Places.of(own, columns, frequency, source)

    def _events(self, panel: Panel, scores: list[Floats], threshold: float, times: pl.Series) -> pl.DataFrame:
        """In the zone of the table's times."""
        named, apart = self.contract.id is not None, self.fitted.threshold.apart
        found = events(panel, scores, threshold, apart, named=named)
        return found.with_columns(restore(moments, times) for moments in found.select(pl.col(pl.Datetime)))


SAVED = Saved


def reads(path: str) -> bool:
    return is_table(path)


def fit(recipe: Recipe, data: str, asked: Asked, tell: Tell) -> Fitted:
    asked.refuse("detect", horizon="--horizon", levels="--level")
    columns = asked.columns.labelled("past")
    panel, understood = understand(frames.read(data), source=data, columns=columns)
    panel, short = check_lengths(panel, LEAST, source=data)
    for line in (*understood.lines(), *(f"note: {line}" for line in short)):
        tell(line)
    if asked.columns.label is not None:
        tell(f"note: column {asked.columns.label!r} is not learnt from: labels only judge, in compare")
    covariates = [n for n in panel.static + panel.past + panel.future if n != asked.columns.label]
    if covariates:
        tell(f"note: covariates are not used to detect: {', '.join(covariates)}")
    fitted = train(recipe, panel, asked.training())
    _tell_threshold(fitted, tell)
    return fitted


def _tell_threshold(fitted: Fitted, tell: Tell) -> None:
    found, steps = fitted.threshold, fitted.threshold.steps
    tell(f"threshold {found.at():.3g}: alarms in the {steps:,} held-out steps: {int(RATE * steps / 1000)} at most")
    tell(f"the score of a row is settled {fitted.delay} steps later")


def reopen(recipe: Recipe, model: Model, contract: Contract) -> Fitted:
    if refuses(recipe) is not None:
        raise ValueError("the recipe is no detector")
    return Fitted(
        recipe=recipe,
        model=model,
        scaler=contract.scaler(),
        threshold=contract.threshold_(),
        context=contract.context,
        schema=contract.schema_(),
        record=contract.record.record(),
    )
