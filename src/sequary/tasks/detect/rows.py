"""Scores as columns of the table that was scored, and events as a table of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from sequary.data.panel import Floats, Panel
from sequary.tasks.detect.alarms import intervals
from sequary.tasks.impute.cells import Places

ADDED = ("score", "anomaly")
EVENT = ("start", "end", "steps", "score")
"""Of a table of events, beside the id."""


def marked(df: Any, height: int, places: Places, scores: Sequence[Floats], threshold: float) -> Any:
    """`df` with `score`, and `anomaly`: 1 above the threshold, 0 below, both empty where a row has no score."""
    score_R = places.taken(height, [s[:, None] for s in scores])[:, 0]
    score = pl.Series("score", score_R, nan_to_null=True)
    return _with(df, {"score": score, "anomaly": (score > threshold).cast(pl.Int64).alias("anomaly")})


def events(panel: Panel, scores: Sequence[Floats], threshold: float, apart: int, *, named: bool) -> pl.DataFrame:
    """A row for each event: id (if `named`), start, end (its last step), steps, and the score of its peak."""
    columns: dict[str, list[Any]] = {name: [] for name in EVENT}
    ids: list[str] = []
    for series, score in zip(panel.series, scores, strict=True):
        for first, last in intervals(score > threshold, apart):
            found = (
                series.times[first],
                series.times[last],
                last - first + 1,
                float(np.nanmax(score[first : last + 1])),
            )
            ids.append(series.id)
            for column, value in zip(columns.values(), found, strict=True):
                column.append(value)
    kind = panel.series[0].times.dtype
    made = {name: np.array(columns[name], kind) for name in ("start", "end")}
    rest = {
        "steps": pl.Series(columns["steps"], dtype=pl.Int64),
        "score": pl.Series(columns["score"], dtype=pl.Float64),
    }
    return pl.DataFrame({**({panel.id_name: pl.Series(ids, dtype=pl.String)} if named else {}), **made, **rest})


def _with(df: Any, columns: Mapping[str, pl.Series]) -> Any:
    """The table as the kind that it came as, with these columns at its end; its index stays."""
    given = nw.from_native(df)
    if isinstance(given, nw.LazyFrame):
        return _added(given.collect(), columns).lazy(backend=given.implementation).to_native()
    return _added(given, columns).to_native()


def _added(whole: nw.DataFrame[Any], columns: Mapping[str, pl.Series]) -> nw.DataFrame[Any]:
    """Whole numbers with empty cells are floats where the kind of table has no empty cells (pandas)."""
    gaps = columns["anomaly"].null_count() > 0 and whole.implementation.is_pandas_like()
    kinds = {"score": nw.Float64(), "anomaly": nw.Float64() if gaps else nw.Int64()}
    return whole.with_columns(
        nw.new_series(name, column.to_list(), kinds[name], backend=whole.implementation)
        for name, column in columns.items()
    )
