"""Detectors that any trained one has to beat. Each learns from a panel, then scores any panel like it, nothing ahead of a step.

A channel's own deviations are in units of its usual ones; a step scores as its most unusual channel.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from sequary.data.panel import Floats, Panel, Series
from sequary.data.scaling import Pair, moments, scaled


class Detector(Protocol):
    def scores(self, panel: Panel) -> list[Floats]:
        """[T] for each series; NaN where there is nothing to tell."""
        ...


class Floor(Protocol):
    def learn(self, panel: Panel) -> Detector: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Residuals:
    """|r_t - median| / (1.4826 MAD) with r_t = x_t - x_{t - lag}; median and MAD are those of the series in training.

    A lag of 0 in `Residuals` means one season of the panel.
    """

    lag: int = 0

    def learn(self, panel: Panel) -> Robust:
        lag = self.lag or panel.frequency.season
        return Robust(lag, {s.id: _usual(_changes(s, lag)) for s in panel.series})


@dataclasses.dataclass(frozen=True, slots=True)
class Robust:
    lag: int
    usual: Mapping[str, Pair]
    """Series -> median and 1.4826 MAD [C]."""

    def scores(self, panel: Panel) -> list[Floats]:
        return [self._score(s) for s in panel.series]

    def _score(self, series: Series) -> Floats:
        change_TC = _changes(series, self.lag)
        middle, size = self.usual.get(series.id) or _usual(change_TC)
        return _most(np.abs(change_TC - middle) / size)


def _changes(series: Series, lag: int) -> Floats:
    """[T, C]; NaN in the first `lag` steps and beside gaps."""
    found = np.full_like(series.values, np.nan)
    found[lag:] = series.values[lag:] - series.values[:-lag]
    return found


def _usual(change_TC: Floats) -> Pair:
    """Where more than half of the changes are equal, the mean distance takes the place of the MAD; then 1."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice|Mean of empty slice", category=RuntimeWarning)
        middle = np.nan_to_num(np.nanmedian(change_TC, 0))
        far_TC = np.abs(change_TC - middle)
        size, mean = 1.4826 * np.nan_to_num(np.nanmedian(far_TC, 0)), np.nan_to_num(np.nanmean(far_TC, 0))
    return middle, np.where(size > 0, size, np.where(mean > 0, mean, 1.0))


def _most(far_TC: Floats) -> Floats:
    most = np.where(np.isnan(far_TC), -np.inf, far_TC).max(1)
    return np.where(np.isinf(most), np.nan, most)


@dataclasses.dataclass(frozen=True, slots=True)
class LagForest:
    """Isolation forest (Liu, Ting & Zhou 2008; scikit-learn's) on the last `lags` values of all channels: 2^(-depth / c) in (0, 1).

    Values are scaled by the series' training part; a missing one counts as the mean. Steps without a
    known value, and the first ones of a series, get no score.
    """

    lags: int = 16
    trees: int = 100

    def learn(self, panel: Panel, seed: int = 0) -> Grown:
        from sklearn.ensemble import IsolationForest

        scales = {s.id: moments(s.values) for s in panel.series}
        long = [s for s in panel.series if len(s) >= self.lags]
        rows_NF = np.concatenate([_windows(s, scales[s.id], self.lags) for s in long])
        forest = IsolationForest(n_estimators=self.trees, random_state=seed).fit(rows_NF)
        return Grown(forest, scales, self.lags)


@dataclasses.dataclass(frozen=True, slots=True)
class Grown:
    forest: Any
    scales: Mapping[str, Pair]
    lags: int

    def scores(self, panel: Panel) -> list[Floats]:
        return [self._score(s) for s in panel.series]

    def _score(self, series: Series) -> Floats:
        found = np.full(len(series), np.nan)
        if len(series) >= self.lags:
            rows_NF = _windows(series, self.scales.get(series.id) or moments(series.values), self.lags)
            found[self.lags - 1 :] = -self.forest.score_samples(rows_NF)
        return np.where(np.isfinite(series.values).any(1), found, np.nan)


def _windows(series: Series, pair: Pair, lags: int) -> Floats:
    """[T - lags + 1, lags · C]."""
    own_TC = np.nan_to_num(scaled(series.values, pair))
    return np.lib.stride_tricks.sliding_window_view(own_TC, lags, axis=0).reshape(-1, lags * own_TC.shape[1])
