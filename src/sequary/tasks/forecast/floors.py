"""Floors: forecasts that cost nothing, which a system has to beat before it is worth anything.

The three for tables say the same: go back `age` steps from the target to a known value y_s, and add age * slope
(Hyndman & Athanasopoulos, Forecasting, 5.2). They differ in which value and which slope. A missing value is never
used: the age grows to the one before it.

Intervals are empirical and symmetric: at age a, the sizes |y_t - y_{t-a} - a * slope| of the errors that the same
rule made in the history, the latest 2000 of them; probability c gets the one of rank ceil((n + 1) c). Where that
exceeds n, normal theory (5.5 of the book) takes over, its sigma such that the mean error is the MASE scale. Measured
against normal theory throughout, nominal 80 / 95 %, seasonal naive: ETTh1 84 / 98 % (theory 88 / 95), daily exchange
rates 78 / 96 (86 / 98), M4 Hourly 88 / 99 (91 / 99); last value: 85 / 98 (89 / 99), 80 / 96 (91 / 98), 77 / 92 (72 /
85).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sequary.data.panel import Forecast, Panel, Series
from sequary.tasks.forecast.conformal import rank
from sequary.tasks.forecast.metrics import mase_scale

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECENT = 2000
"""Errors of an age that count, the latest ones: older ones mislead (ETTh1: with all, last value covers 75 %)."""


class EmptyHistory(ValueError):
    """A channel without any known value before the origin: there is nothing to forecast from."""


class Floor(Protocol):
    def forecast(self, panel_cut: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
        """`horizon` steps after the end of each series of `panel_cut`, which holds nothing from after the origin."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class LastValue:
    """f = y_last. Theory: the error grows as sqrt(age)."""

    def forecast(self, panel_cut: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
        return [_last_value(panel_cut, s, horizon, levels, drifting=False) for s in panel_cut.series]


@dataclasses.dataclass(frozen=True, slots=True)
class Drift:
    """f = y_last + age * (y_last - y_first) / (last - first). Theory: sqrt(age (1 + age / (last - first)))."""

    def forecast(self, panel_cut: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
        return [_last_value(panel_cut, s, horizon, levels, drifting=True) for s in panel_cut.series]


@dataclasses.dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """f = the last known value at the same place in the season m; where none is known there, the last known value.

    Theory: the error grows as sqrt(age / m). Without a season (m = 1) this is the last value.
    """

    def forecast(self, panel_cut: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
        season = panel_cut.frequency.season
        found: list[Forecast] = []
        for series in panel_cut.series:
            known_TC = known_values(panel_cut, series)
            rows_TC = np.where(known_TC, np.arange(len(series))[:, None], -1)
            # Padded in front to whole seasons, phase 0 is the place of the first row after the history.
            whole_TC = np.pad(rows_TC, ((-len(series) % season, 0), (0, 0)), constant_values=-1)
            last_MC = whole_TC.reshape(-1, season, rows_TC.shape[1]).max(axis=0)
            last_MC = np.where(last_MC >= 0, last_MC, rows_TC.max(axis=0))
            steps_H = np.arange(horizon)
            age_HC = len(series) + steps_H[:, None] - last_MC[steps_H % season]
            sigma_HC = np.sqrt(age_HC / season * np.pi / 2) * mase_scale(series.values, season)
            found.append(_forecast(panel_cut, series, age_HC, np.zeros(rows_TC.shape[1]), sigma_HC, levels))
        return found


def known_values(panel: Panel, series: Series) -> NDArray[np.bool_]:
    """[T, C] which values are known; a channel without any is refused."""
    known_TC = ~np.isnan(series.values)
    for name, known_T in zip(panel.channels, known_TC.T, strict=True):
        if not known_T.any():
            where = f"series '{series.id}', target '{name}'"
            raise EmptyHistory(f"{where}: none of the {len(series)} values before the origin is known; leave it out")
    return known_TC


def _last_value(panel: Panel, series: Series, horizon: int, levels: Sequence[float], *, drifting: bool) -> Forecast:
    known_TC = known_values(panel, series)
    channels = np.arange(known_TC.shape[1])
    first_C, last_C = known_TC.argmax(axis=0), len(series) - 1 - known_TC[::-1].argmax(axis=0)
    span_C = np.maximum(last_C - first_C, 1)  # one known value only: no change, slope 0
    slope_C = (series.values[last_C, channels] - series.values[first_C, channels]) / span_C * drifting
    age_HC = len(series) + np.arange(horizon)[:, None] - last_C
    growth_HC = age_HC * (1 + drifting * age_HC / span_C)
    return _forecast(
        panel, series, age_HC, slope_C, np.sqrt(growth_HC * np.pi / 2) * mase_scale(series.values, 1), levels
    )


def _forecast(
    panel: Panel, series: Series, age_HC: Ints, slope_C: Floats, sigma_HC: Floats, levels: Sequence[float]
) -> Forecast:
    """The value `age` steps before each target, plus age * slope, with intervals from the errors of that rule."""
    horizon, width = age_HC.shape
    source_HC = len(series) + np.arange(horizon)[:, None] - age_HC
    mean_HC = series.values[source_HC, np.arange(width)] + age_HC * slope_C
    shares = np.array(sorted({abs(2 * p - 1) for p in levels}))
    width_LHC = np.empty((len(shares), horizon, width))
    for c in range(width):
        for age in np.unique(age_HC[:, c]):
            error_N = series.values[age:, c] - series.values[:-age, c] - age * slope_C[c]
            size_N = np.sort(np.abs(error_N[~np.isnan(error_N)][-RECENT:]))
            rows = np.flatnonzero(age_HC[:, c] == age)
            width_LHC[:, rows, c] = _widths(size_N, shares, sigma_HC[rows[0], c])[:, None]
    at = {p: int(np.searchsorted(shares, abs(2 * p - 1))) for p in levels}
    quantiles = {p: mean_HC + np.sign(p - 0.5) * width_LHC[at[p]] for p in levels}
    times = panel.frequency.extend(series.times[-1], horizon)
    return Forecast(id=series.id, times=times, mean=mean_HC, quantiles=quantiles)


def _widths(size_N: Floats, shares: Floats, sigma: float) -> Floats:
    """Half widths of the intervals of ascending probabilities: the empirical one, or normal theory; never shrinking."""
    rank_L = rank(len(size_N), shares)
    empirical_L = np.concatenate([[0.0], size_N])[np.minimum(rank_L, len(size_N))]
    return np.maximum.accumulate(np.where(rank_L <= len(size_N), empirical_L, sigma * ndtri((1 + shares) / 2)))
