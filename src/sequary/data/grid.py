"""The regular grid under irregular rows: its step, found from the time differences, and each row's place on it.

Times become integers x: microseconds, the user's own integers, or months since 1970 where the step is one of the
calendar's. Then row n of series s stands at round((x_n - phase_s) / step), and everything else is arithmetic.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sequary.data.errors import Source
from sequary.data.panel import Frequency, on_day
from sequary.data.seasons import DAY, name, natural

Ints = NDArray[np.int64]
SPARE = 64 << 20
"""Bytes of float64 that a grid may take however few rows it has; where columns are few, 100,000 steps take less."""
AGGREGATE = "aggregate to a regular grid first (pandas: df.resample('1h').mean(), polars: group_by_dynamic)"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    frequency: Frequency
    place: Ints
    """[N] of each row, counted from the first of its series."""
    lengths: Ints
    """[S] steps from the first row to the last."""
    times: NDArray[np.generic]
    """[sum of lengths] the grid's times, series after series."""
    moved: int
    """Rows that stood beside the grid and were moved to its nearest step."""


def lay(
    times: pl.Series, code: Ints, *, given: Frequency | None, source: Source, rows: pl.Series, width: int = 1
) -> Grid:
    """The grid of N distinct (series, time) rows; `code` is each row's series, 0 … S-1. Refuses irregular times.

    `width`: columns that will be laid on it, by which the steps that it may have beyond the rows are bounded.
    """
    moments = isinstance(times.dtype, pl.Datetime)
    if given is not None and given.every.endswith("i") == moments:
        mend = "give times of the kind that the model was fitted on"
        raise source.refuse(f"the step should be {given.every}", column=times.name, mend=mend)
    raw = times.cast(pl.Int64).to_numpy()
    unit, step = (
        given.step() if given else _step(raw, code, moments=moments, column=times.name, source=source, rows=rows)
    )
    x = raw.astype("M8[us]").astype("M8[M]").astype(np.int64) if unit == "months" else raw
    place, phase = _places(x, code, step)
    first = np.full(code.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, code, place)
    place = place - first[code]
    lengths = np.zeros(len(first), np.int64)
    np.maximum.at(lengths, code, place + 1)
    every = name(unit, step)
    spare = min(100_000, SPARE // (8 * max(1, width)))
    _check_size(lengths, place, code, spare=spare, source=source, rows=rows, column=times.name, every=every)
    starts = np.cumsum(lengths) - lengths
    laid = np.repeat(phase + (first - starts) * step, lengths) + step * np.arange(lengths.sum())
    day = _day(raw, (given.day if given else None) or 31) if unit == "months" else None
    laid = _calendar(laid, raw, day) if day else laid
    at = starts[code] + place
    on_grid = laid.astype("M8[us]") if moments else laid
    _check_collisions(place, code, on_grid[at], source=source, rows=rows, column=times.name)
    season = given.season if given else natural(unit, step, int(np.median(lengths)))
    frequency = Frequency(every=given.every if given else every, season=season, day=day)
    moved = int((laid[at] != raw).sum())
    return Grid(frequency=frequency, place=place, lengths=lengths, times=on_grid, moved=moved)


def _step(x: Ints, code: Ints, *, moments: bool, column: str, source: Source, rows: pl.Series) -> tuple[str, int]:
    order = np.lexsort((x, code))
    same = code[order][1:] == code[order][:-1]
    gaps = np.diff(x[order])[same]
    if not len(gaps):
        mend = "give at least two rows for one series, or check the id column"
        raise source.refuse("no series has two rows, so there is no time step", column=column, mend=mend)
    if moments and np.median(gaps) >= 28 * DAY:
        month = x[order].astype("M8[us]").astype("M8[M]").astype(np.int64)
        months = np.diff(month)[same]
        if (_share(x, _day(x, 31)) >= 0.9 or (months.min() >= 1 and _top_share(gaps) < 0.9)) and (
            step := _common(months)
        ):
            return "months", step
    step = _common(gaps)
    if step is None:
        values, counts = np.unique(gaps, return_counts=True)
        at = int(order[1:][same][np.argmax(gaps != values[counts.argmax()])])
        what = f"irregular times: no step explains nine in ten of the {len(gaps):,} time differences (the first odd one ends here)"
        raise source.refuse(what, column=column, index=rows[at], mend=AGGREGATE)
    return ("microseconds" if moments else "integers"), step


def _day(x: Ints, known: int) -> int:
    """The day of the month that rows stand on: the known one or the last one (31) where nine in ten do, else the commonest."""
    for day in (known, 31):
        if _share(x, day) >= 0.9:
            return day
    days = x.astype("M8[us]").astype("M8[D]")
    return int(np.bincount((days - days.astype("M8[M]").astype("M8[D]")).astype(np.int64)).argmax()) + 1


def _share(x: Ints, day: int) -> float:
    """The part of the rows that stand on that day of their month."""
    days = x.astype("M8[us]").astype("M8[D]")
    return float((days == on_day(days.astype("M8[M]"), day)).mean())


def _top_share(gaps: Ints) -> float:
    return float(np.unique(gaps, return_counts=True)[1].max() / len(gaps))


def _common(gaps: Ints) -> int | None:
    """The smallest frequent difference that nine in ten are multiples of (within a tenth of it), if there is one."""
    values, counts = np.unique(gaps[gaps > 0], return_counts=True)
    frequent = counts >= max(0.1 * len(gaps), min(2, counts.max()))  # one slip in a short table is no step
    for step in values[frequent]:
        times = np.maximum(np.rint(values / step), 1)
        near = np.abs(values - times * step) <= 0.1 * step
        if counts[near].sum() >= 0.9 * len(gaps):
            return int(step)
    return None


def _places(x: Ints, code: Ints, step: int) -> tuple[Ints, Ints]:
    """Step number of each row, and [S] phases: each series' commonest remainder."""
    phase = np.zeros(code.max() + 1, np.int64)
    phase[code[::-1]] = (x % step)[::-1]
    if (x % step != phase[code]).any():
        table = pl.DataFrame({"code": code, "phase": x % step}).group_by("code", "phase").len()
        best = table.sort("code", "len", "phase", descending=[False, True, False]).unique("code", keep="first")
        phase[best["code"].to_numpy()] = best["phase"].to_numpy()
    return (x - phase[code] + step // 2) // step, phase


def _calendar(laid: Ints, x: Ints, day: int) -> Ints:
    """Months as microseconds: at that day of each, at the commonest time of day."""
    values, counts = np.unique(x % DAY, return_counts=True)
    return on_day(laid.astype("M8[M]"), day).astype("M8[us]").astype(np.int64) + values[counts.argmax()]


def _check_size(
    lengths: Ints, place: Ints, code: Ints, *, spare: int, source: Source, rows: pl.Series, column: str, every: str
) -> None:
    """One wrong year among a million seconds must not ask for all memory there is."""
    if lengths.sum() <= 50 * len(place) + spare:
        return
    order = np.lexsort((place, code))
    jump = np.where(np.diff(code[order]) == 0, np.diff(place[order]), 0)
    at = int(jump.argmax())
    what = f"{jump[at]:,} steps of {every} lie between rows {source.row(rows[int(order[at])])} and this one"
    mend = "correct the time, or give it an id of its own"
    raise source.refuse(what, column=column, index=rows[int(order[at + 1])], mend=mend)


def _check_collisions(
    place: Ints, code: Ints, times: NDArray[np.generic], *, source: Source, rows: pl.Series, column: str
) -> None:
    order = np.lexsort((place, code))
    both = (np.diff(code[order]) == 0) & (np.diff(place[order]) == 0)
    if both.any():
        at = int(both.argmax())
        one, two = sorted((int(order[at]), int(order[at + 1])))
        what = f"rows {source.row(rows[one])} and {source.row(rows[two])} both stand at step {times[one]} of the grid"
        raise source.refuse(what, column=column, index=rows[two], mend=AGGREGATE)
