"""Imputation as a task: a table with gaps in, the same table without them out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.data import frames
from sequary.data.errors import DataError
from sequary.data.tables import check_lengths, understand
from sequary.data.texts import is_table
from sequary.tasks import task
from sequary.tasks.forecast.task import selected
from sequary.tasks.impute.cells import Places, check_free, ends, filled
from sequary.tasks.impute.contract import Contract
from sequary.tasks.impute.fitted import Fitted, NothingKnown
from sequary.tasks.impute.train import refuses, train
from sequary.tasks.task import Asked, Tell

__all__ = ["CONTRACT", "DATA", "SAVED", "fit", "reads", "refuses", "reopen"]

DATA = "a table"
CONTRACT = Contract
LEAST = 8
"""Steps below which a series is left out of training."""


class RowsWarning(UserWarning):
    """Steps between the rows of a table that have no row of their own."""


class Saved(task.Saved):
    verbs = ("impute(df)",)
    fitted: Fitted
    contract: Contract

    def impute(self, df: Any, levels: Sequence[float] = ()) -> Any:
        """The same table with its missing targets filled; every other cell as it came, bit for bit.

        Filled are cells of rows that are there: for a step without a row, give a row with its time and an empty cell.

        Args:
            df: a dataframe or the path of a table with the columns of training: new rows and unseen series are welcome.
            levels: shares of intervals, which become columns `y-lo-80`, `y-hi-80`, empty where the value was known.

        Warns:
            RowsWarning: steps without a row, and how many.

        Raises:
            DataError: a column is missing, or called as one that is added, the table cannot be read in one way only, or a
                channel has no value at all.
            ValueError: a level that is no share, or intervals of a model without them.
        """
        bad = [c for c in levels if not 0 < c < 1]
        if bad:
            raise ValueError(f"levels={bad} are no shares of an interval; use numbers between 0 and 1, such as 0.8")
        source = str(df) if isinstance(df, str | Path) else "dataframe"
        frame = frames.read(df)
        columns, frequency = self.contract.columns(), self.fitted.schema.frequency
        own = selected(frame, columns.names(), source)
        added = [end for name in self.contract.channels for share in levels for end in ends(name, share)]
        check_free(frame.columns, added, source, "impute")
        panel, understood = understand(own, source=source, columns=columns, frequency=frequency)
        if understood.gaps:
            what = f"{understood.gaps:,} steps of {frequency.every} between rows have no row and get none"
            warnings.warn(f"{what}; give them rows with empty cells to have them filled", RowsWarning, stacklevel=2)
        try:
            said = self.fitted.fill(panel, tuple(levels))
        except NothingKnown as error:
            what, mend = str(error).rsplit("; ", 1)
            raise DataError(what, file=source, mend=mend) from None
        return filled(df, frame, panel, Places.of(own, columns, frequency, source), said, tuple(levels))


SAVED = Saved


def reads(path: str) -> bool:
    return is_table(path)


def fit(recipe: Recipe, data: str, asked: Asked, tell: Tell) -> Fitted:
    asked.refuse("impute", horizon="--horizon", levels="--level")
    panel, understood = understand(frames.read(data), source=data, columns=asked.columns)
    panel, short = check_lengths(panel, LEAST, source=data)
    for line in (*understood.lines(), *(f"note: {line}" for line in short)):
        tell(line)
    covariates = panel.static + panel.past + panel.future
    if covariates:
        tell(f"note: covariates are not used to impute: {', '.join(covariates)}")
    share = np.mean(np.concatenate([np.isnan(s.values).ravel() for s in panel.series]))
    tell(f"missing: {share:.1%} of the cells of the grid")
    return train(recipe, panel, asked.training())


def reopen(recipe: Recipe, model: Model, contract: Contract) -> Fitted:
    if refuses(recipe) is not None:
        raise ValueError("the recipe is no imputer")
    return Fitted(
        recipe=recipe,
        model=model,
        scaler=contract.scaler(),
        intervals=contract.intervals_(),
        context=contract.context,
        schema=contract.schema_(),
        record=contract.record.record(),
    )
