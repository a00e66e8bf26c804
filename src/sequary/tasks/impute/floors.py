"""Fills that learn nothing: each takes a panel and gives [T, C] values for each of its series, the known ones as they are.

A channel of which nothing is known in a series stays missing there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sequary.data.panel import Floats, Panel

Fill = Callable[[Panel], list[Floats]]


def linear(panel: Panel) -> list[Floats]:
    """The straight line between the known values on both sides; at the ends the nearest known value."""
    return [_each(s.values, _line) for s in panel.series]


def last_value(panel: Panel) -> list[Floats]:
    """The last known value before; at the start the first known one."""
    return [_each(s.values, _carried) for s in panel.series]


def mean(panel: Panel) -> list[Floats]:
    """The mean of the channel's known values."""
    return [_each(s.values, _mean) for s in panel.series]


def seasonal_mean(panel: Panel) -> list[Floats]:
    """The mean of the known values at the same place of the season; where there is none, of all."""
    season = panel.frequency.season
    return [_each(s.values, lambda y_T: _by_phase(y_T, season)) for s in panel.series]


def _each(values_TC: Floats, said: Callable[[Floats], Floats]) -> Floats:
    filled = values_TC.copy()
    for column in filled.T:
        missing = np.isnan(column)
        if missing.any() and not missing.all():
            column[missing] = said(column)[missing]
    return filled


def _mean(y_T: Floats) -> Floats:
    return np.full(len(y_T), np.nanmean(y_T), np.float64)


def _line(y_T: Floats) -> Floats:
    known = np.flatnonzero(~np.isnan(y_T))
    return np.interp(np.arange(len(y_T)), known, y_T[known])


def _carried(y_T: Floats) -> Floats:
    known = ~np.isnan(y_T)
    return y_T[np.maximum.accumulate(np.where(known, np.arange(len(y_T)), known.argmax()))]


def _by_phase(y_T: Floats, season: int) -> Floats:
    phase, known = np.arange(len(y_T)) % season, ~np.isnan(y_T)
    count = np.bincount(phase[known], minlength=season)
    total = np.bincount(phase[known], y_T[known], minlength=season)
    return np.where(count > 0, total / np.maximum(count, 1), np.nanmean(y_T))[phase]
