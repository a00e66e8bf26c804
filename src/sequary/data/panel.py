"""A panel: every series of a table on its own regular time grid, as numpy arrays; a missing value or a gap is NaN.

Pure numpy: reading a table, the floors and the board need no torch. `windows.py` turns a panel into tensors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequary.data.seasons import UNITS

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Frequency:
    """The step of the time grid. `every` is a polars duration ("1h", "15m", "1w", "1mo") or "1i" for integer time."""

    every: str
    season: int
    """Steps in the natural season (24 for hourly, 12 for monthly, 7 for daily); 1 where there is none."""
    day: int | None = None
    """Where rows stand in their month, for steps of months: 31 for its last day. None: where the last row stands."""

    def step(self) -> tuple[str, int]:
        """What is counted ("microseconds", "months" or "integers"), and how many of it."""
        count = "".join(c for c in self.every if c.isdigit())
        unit, size = UNITS[self.every.removeprefix(count)]
        return unit, int(count) * size

    def extend(self, last: np.datetime64 | np.int64, steps: int) -> NDArray[np.generic]:
        """The `steps` times that follow `last` on this grid."""
        unit, size = self.step()
        ahead = size * np.arange(1, steps + 1)
        if not isinstance(last, np.datetime64):
            return np.int64(int(last)) + ahead
        start = last.astype("M8[us]")
        if unit == "microseconds":
            return start + ahead
        today, month = start.astype("M8[D]"), start.astype("M8[M]")
        day = self.day or int((today - month.astype("M8[D]")).astype(np.int64)) + 1
        return on_day(month + ahead, day) + (start - today)


def on_day(months: NDArray[np.datetime64], day: int) -> NDArray[np.datetime64]:
    """That day of each month (datetime64[M] to datetime64[D]), the last one where the month is shorter."""
    first = months.astype("M8[D]")
    length = ((months + 1).astype("M8[D]") - first).astype(np.int64)
    return first + np.minimum(length, day) - 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series on a regular grid of T steps. Covariates that do not exist have zero columns."""

    id: str
    times: NDArray[np.generic]
    """[T] datetime64[us], or int64 where time is an integer."""
    values: Floats
    """[T, C] targets; NaN where missing."""
    past: Floats
    """[T, P] covariates known up to the forecast's origin only."""
    future: Floats
    """[T + F, K] covariates known beforehand; F >= 0 rows may lie beyond the last target."""
    static: Floats
    """[S] constants of the series; categories as integer codes."""

    def __len__(self) -> int:
        return len(self.values)

    def cut(self, stop: int) -> Series:
        """The series as it was known at origin `stop`: rows before it, and all declared future covariates."""
        return dataclasses.replace(self, times=self.times[:stop], values=self.values[:stop], past=self.past[:stop])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Series with the same C channels. A wide table is one series with C channels; a long one is many with C = 1."""

    series: tuple[Series, ...]
    channels: tuple[str, ...]
    frequency: Frequency
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Column -> its categories in code order, for covariates that are not numbers; unseen ones get code len(categories)."""
    layout: Literal["long", "wide"] = "long"
    time_name: str = "ds"
    id_name: str = "unique_id"

    def cut(self, stops: Sequence[int]) -> Panel:
        """Every series cut at its own origin."""
        return dataclasses.replace(self, series=tuple(s.cut(n) for s, n in zip(self.series, stops, strict=True)))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a forecaster says about one series: [H, C] point and, level by level, [H, C] quantiles."""

    id: str
    times: NDArray[np.generic]
    mean: Floats
    quantiles: dict[float, Floats] = dataclasses.field(default_factory=dict)
    """Probability in (0, 1) -> [H, C]; not crossing."""
