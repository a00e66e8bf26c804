"""Putting into words what was understood of a table."""

from __future__ import annotations

import numpy as np

from sequary.data.grid import Grid
from sequary.data.panel import Floats, Panel
from sequary.data.roles import Roles
from sequary.data.rows import Rows
from sequary.data.understanding import Covariate, Understanding


def describe(panel: Panel, *, roles: Roles, rows: Rows, grid: Grid, file: str) -> Understanding:
    lengths = np.array([len(s) for s in panel.series])
    within = grid.place < lengths[rows.code]  # not beyond the last target
    cells = int(within.sum()) * len(panel.channels)
    kinds = {"static": panel.static, "past": panel.past, "future": panel.future}
    return Understanding(
        file=file,
        rows=len(rows.frame) + rows.duplicates,
        layout=panel.layout,
        time=panel.time_name,
        id=roles.id,
        series=len(panel.series),
        lengths=(int(lengths.min()), int(np.median(lengths)), int(lengths.max())),
        channels=panel.channels,
        frequency=panel.frequency.every,
        season=panel.frequency.season,
        start=_readable(min(s.times[0] for s in panel.series)),
        end=_readable(max(s.times[-1] for s in panel.series)),
        gaps=int(lengths.sum() - within.sum()),
        missing=cells - int(sum(np.isfinite(s.values).sum() for s in panel.series)),
        duplicates=rows.duplicates,
        unsorted=rows.unsorted,
        ahead=int((~within).sum()),
        covariates=tuple(
            Covariate(name=name, kind=kind, how=roles.how[name], categories=len(panel.categories.get(name, ())))  # pyright: ignore[reportArgumentType]
            for kind, names in kinds.items()
            for name in names
        ),
        constant=_constant(panel),
        notes=(*roles.notes, *rows.notes, *_calendar_notes(panel, rows, grid), *_trailing(panel)),
    )


def _readable(moment: np.generic) -> str:
    if not isinstance(moment, np.datetime64):
        return str(moment)
    return str(moment.astype("M8[us]").item()).removesuffix(" 00:00:00")


def _constant(panel: Panel) -> tuple[str, ...]:
    """Series (channels, where there is one series) whose values, two at least, are all the same."""
    if len(panel.series) == 1:
        columns = zip(panel.channels, panel.series[0].values.T, strict=True)
    else:
        columns = ((s.id, s.values) for s in panel.series)
    return tuple(name for name, values in columns if _is_constant(values))


def _is_constant(values: Floats) -> bool:
    columns = (
        [column[np.isfinite(column)] for column in values.T] if values.ndim == 2 else [values[np.isfinite(values)]]
    )
    return all(len(c) > 1 and c.min() == c.max() for c in columns)


def _calendar_notes(panel: Panel, rows: Rows, grid: Grid) -> tuple[str, ...]:
    notes: list[str] = []
    if grid.moved:
        notes.append(
            f"{grid.moved:,} row(s) stood beside the grid of {panel.frequency.every} and moved to its nearest step"
        )
    if panel.frequency.every == "1d":
        weekdays = rows.times.dt.weekday()
        if len(weekdays) >= 10 and (weekdays <= 5).all():
            notes.append("business days only: on the daily grid every weekend is a gap, masked and not filled")
    steps = np.bincount(rows.code, minlength=len(panel.series))
    sparse = [s.id for s, n, span in zip(panel.series, steps, grid.lengths, strict=True) if n > 1 and n * 3 < span]
    if sparse:
        notes.append(
            f"{len(sparse):,} series with a row at fewer than a third of the grid's steps, such as {sparse[0]!r}"
        )
    return tuple(notes)


def _trailing(panel: Panel) -> tuple[str, ...]:
    """Empty rows at the end are often the horizon that a user wants forecast."""
    late = sum(1 for s in panel.series if not np.isfinite(s.values[-1]).any())
    words = "series end in rows without a target: they count as missing; remove them, or declare --future covariates"
    return (f"{late:,} {words}, if they are what is to be forecast",) if late else ()
