"""A frame as a panel: every series on its own regular grid, gaps and missing values as NaN, covariates by kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import polars as pl

from sequary.data import codes
from sequary.data.codes import Coded
from sequary.data.describe import describe
from sequary.data.errors import DataError, Source
from sequary.data.grid import Grid, Ints, lay
from sequary.data.panel import Floats, Frequency, Panel, Series
from sequary.data.roles import Columns, Roles, assign
from sequary.data.rows import Rows, not_blank, usable
from sequary.data.understanding import Understanding


def understand(
    frame: pl.DataFrame,
    *,
    source: str = "dataframe",
    columns: Columns = Columns(),
    categories: Mapping[str, tuple[str, ...]] | None = None,
    frequency: Frequency | None = None,
    season: int | None = None,
) -> tuple[Panel, Understanding]:
    """Long (`unique_id, ds, y`; `item_id, timestamp, target`) or wide (a time column, numeric columns), or as declared.

    `categories` and `frequency` are those of an earlier panel that new rows belong to: known categories keep their
    codes, unseen ones get the next, and a series needs no second row to show its step. `season` is the number of steps
    until the data repeat themselves, where the step does not tell it (integer time) or tells it wrong.

    Raises:
        DataError: what cannot be read in one way only, with file, row, column and the mend.
    """
    origin = Source(source)
    frame, index = not_blank(frame, origin)
    roles = assign(frame, columns, origin)
    rows = usable(frame, index, roles, origin)
    grid = lay(rows.times, rows.code, given=frequency, source=origin, rows=rows.index, width=roles.width)
    if season is not None:
        grid = dataclasses.replace(grid, frequency=dataclasses.replace(grid.frequency, season=season))
    coded = _coded(rows, roles, origin, categories or {}, later=frequency is not None)
    panel = Panel(
        series=_series(rows, roles, grid, coded, origin),
        channels=roles.target,
        frequency=grid.frequency,
        past=roles.past,
        future=roles.future,
        static=roles.static,
        categories={name: column.categories for name, column in coded.items() if column.categories},
        layout=roles.layout,
        time_name=roles.time,
        id_name=roles.id or "unique_id",
    )
    return panel, describe(panel, roles=roles, rows=rows, grid=grid, file=source)


def check_lengths(panel: Panel, need: int, *, source: str = "") -> tuple[Panel, tuple[str, ...]]:
    """The panel of the series with at least `need` steps from their first value on, and a line on each of the others.

    Raises:
        DataError: none has, in the file `source`.
    """
    lengths = [_length(series) for series in panel.series]
    short = tuple(
        f"series {s.id!r} has {n} steps from its first value on, {need} are needed: left out"
        for s, n in zip(panel.series, lengths, strict=True)
        if n < need
    )
    long = tuple(s for s, n in zip(panel.series, lengths, strict=True) if n >= need)
    if not long:
        what = f"no series is long enough: the longest has {max(lengths)} steps, {need} are needed"
        raise DataError(what, file=source, mend="choose a shorter horizon (or context), or give more rows")
    return dataclasses.replace(panel, series=long), short


def _coded(
    rows: Rows, roles: Roles, origin: Source, categories: Mapping[str, tuple[str, ...]], *, later: bool
) -> dict[str, Coded]:
    """Every column as numbers. `later` rows of an earlier panel may be nothing but the future of a covariate."""
    coded = {name: codes.numbers(rows.frame[name], origin, rows.index) for name in roles.target}
    for name in (name for name, column in coded.items() if not later and not np.isfinite(column.values).any()):
        raise origin.refuse("the target has no value at all", column=name, mend="name another one with --target")
    for name in roles.static + roles.past + roles.future:
        coded[name] = codes.covariate(rows.frame[name], categories.get(name), origin, rows.index)
    return coded


def _length(series: Series) -> int:
    seen = np.isfinite(series.values).any(axis=1)
    return len(series) - int(seen.argmax()) if seen.any() else 0


def _series(rows: Rows, roles: Roles, grid: Grid, coded: dict[str, Coded], source: Source) -> tuple[Series, ...]:
    """Scatter every column onto the grid, then cut it into views, one a series."""
    starts = np.concatenate([[0], np.cumsum(grid.lengths)])
    at = starts[rows.code] + grid.place

    def matrix(names: tuple[str, ...]) -> Floats:
        laid = np.full((int(starts[-1]), len(names)), np.nan)
        for j, name in enumerate(names):
            laid[at, j] = coded[name].values
        return laid

    values, past, future = matrix(roles.target), matrix(roles.past), matrix(roles.future)
    static = codes.constants(coded, roles.static, rows.code, len(rows.ids), source, rows.index)
    stops = _stops(values, future, starts)
    return tuple(
        Series(
            id=id,
            times=grid.times[start:stop],
            values=values[start:stop],
            past=past[start:stop],
            future=future[start:end],
            static=constants,
        )
        for id, constants, start, stop, end in zip(rows.ids, static, starts, stops, starts[1:], strict=False)
    )


def _stops(values: Floats, future: Floats, starts: Ints) -> Ints:
    """Where each series' targets end: after the last one, where a future covariate goes on; else with its rows."""
    stops = starts[1:].copy()
    observed, known = np.asarray(np.isfinite(values).any(axis=1)), np.asarray(np.isfinite(future).any(axis=1))
    for s in np.flatnonzero(~observed[stops - 1]):
        seen = np.flatnonzero(observed[starts[s] : stops[s]])
        last = starts[s] + (seen[-1] + 1 if len(seen) else 0)
        if known[last : stops[s]].any():
            stops[s] = last
    return stops
