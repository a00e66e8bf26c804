"""A forecast as a row of a table: what is known at an origin about one step of one channel.

The answer is asked for relative to an anchor, (y - anchor) / scale, because trees cannot extrapolate: the anchor is
half the last known value, half the seasonal naive forecast; the scale is the mean distance of the window's values
from their level. NaN stays NaN where a value is missing or lies before the first row.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Frequency, Panel, Series
from sequary.tasks.forecast.metrics import mase_scale

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEASONS = 4
"""Values at the target's place in the season, of the latest seasons known."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """N rows: x [N, F], and y = anchor + scale * answer, anchor and scale [N]."""

    x_NF: Floats
    anchor_N: Floats
    scale_N: Floats


def window(season: int) -> int:
    """Lags that become columns: two seasons, at least 12 and at most 64 (longer seasons have their own columns)."""
    return min(max(2 * season, 12), 64)


def calendar(times: NDArray[np.generic], frequency: Frequency) -> Floats:
    """[T, K] hour, weekday and month; for integer time, its place in the season."""
    if times.dtype.kind != "M":
        stride = int(frequency.every.rstrip("i"))
        return (times.astype(np.int64) // stride % frequency.season).astype(np.float64)[:, None]
    days = times.astype("datetime64[D]")  # its day of the month is left out: boosting learnt dates by heart with it
    hour = (times - days) / np.timedelta64(1, "h")
    weekday, month = (days.astype(np.int64) + 3) % 7, times.astype("datetime64[M]").astype(np.int64) % 12
    return np.stack([hour, weekday, month], axis=1).astype(np.float64)


def mean_known(x_NL: Floats) -> Floats:
    """[N] mean of the known values of a row; NaN where there is none."""
    count_N = (~np.isnan(x_NL)).sum(axis=1)
    return np.where(count_N > 0, np.nansum(x_NL, axis=1) / np.maximum(count_N, 1), np.nan)


def known_before(values_TC: Floats) -> Floats:
    """[T, C] the last known value up to each row; NaN before the first."""
    row_TC = np.where(np.isnan(values_TC), 0, np.arange(len(values_TC))[:, None])
    return np.take_along_axis(values_TC, np.maximum.accumulate(row_TC, axis=0), axis=0)


def rows(panel: Panel, series: Series, clock_TK: Floats, origin_N: Ints, step_N: Ints, channel_N: Ints) -> Rows:
    """Row n says what is known at row `origin` (itself included) about `origin + step`; `clock_TK` covers all targets."""
    season, target_N = panel.frequency.season, origin_N + step_N

    def at(row_NL: Ints) -> Floats:
        return np.where(row_NL >= 0, series.values[np.maximum(row_NL, 0), channel_N[:, None]], np.nan)

    lag_NL = at(origin_N[:, None] - np.arange(window(season)))
    latest_N = target_N - -(-step_N // season) * season
    seasonal_NK = at(latest_N[:, None] - season * np.arange(SEASONS))
    last_N = known_before(series.values)[origin_N, channel_N]
    naive_N = np.where(np.isnan(seasonal_NK[:, 0]), last_N, seasonal_NK[:, 0])
    level_N = mean_known(lag_NL)
    level_N = np.where(np.isnan(level_N), last_N, level_N)
    spread_N = mean_known(np.abs(lag_NL - level_N[:, None]))
    # A window that stands still has no scale of its own.
    scale_N = np.maximum(np.nan_to_num(spread_N), 0.05 * mase_scale(series.values, season)[channel_N])
    widths = sorted({3, max(3, season // 2), window(season) // 2})
    mean_NW = np.stack([mean_known(lag_NL[:, :w]) for w in widths], axis=1)
    value_NF = np.column_stack([lag_NL, seasonal_NK, mean_NW, last_N, naive_N]) - level_N[:, None]
    future_NK = np.full((len(target_N), series.future.shape[1]), np.nan)
    given_N = target_N < len(series.future)
    future_NK[given_N] = series.future[target_N[given_N]]
    static_NS = np.broadcast_to(series.static, (len(target_N), len(series.static)))
    others = [np.log(scale_N), step_N, channel_N, clock_TK[target_N], series.past[origin_N], future_NK, static_NS]
    return Rows(np.column_stack([value_NF / scale_N[:, None], *others]), (last_N + naive_N) / 2, scale_N)
