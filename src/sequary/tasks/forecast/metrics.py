"""Errors of one forecast of one series: every function takes [H, C] arrays and returns one number a channel, [C].

A missing truth is left out; a channel whose truth is missing altogether gets NaN. A forecast that is NaN where the
truth is known is a failed forecast, so its error is NaN too: it is not left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _mean_observed(error_HC: Floats, truth_HC: Floats) -> Floats:
    """Mean over the steps whose truth is known; NaN where there is none."""
    observed_HC = ~np.isnan(truth_HC)
    count_C = observed_HC.sum(axis=0)
    total_C = np.where(observed_HC, error_HC, 0.0).sum(axis=0)
    return np.where(count_C > 0, total_C / np.maximum(count_C, 1), np.nan)


def mae(truth_HC: Floats, mean_HC: Floats) -> Floats:
    """mean_h |y - f|, in units of the target."""
    return _mean_observed(np.abs(truth_HC - mean_HC), truth_HC)


def mse(truth_HC: Floats, mean_HC: Floats) -> Floats:
    """mean_h (y - f)^2, in squared units of the target."""
    return _mean_observed((truth_HC - mean_HC) ** 2, truth_HC)


def lag_mae(history_TC: Floats, lag: int) -> Floats:
    """mean_t |y_t - y_{t-lag}| over the pairs that are both known; NaN where there is none."""
    if lag >= len(history_TC):
        return np.full(history_TC.shape[1], np.nan)
    change_TC = history_TC[lag:] - history_TC[:-lag]
    return _mean_observed(np.abs(change_TC), change_TC)


def mase_scale(history_TC: Floats, season: int) -> Floats:
    """[C], always positive: the in-sample error of the seasonal naive forecast (Hyndman & Koehler 2006).

    Where it is zero or undefined (a history shorter than a season, or one that repeats itself exactly), the first of
    these that is positive takes its place: the in-sample error of the last value, the mean of |y|, and 1 (the error
    keeps its units). "Zero" means below 1e-12 of the mean of |y|, which is rounding.
    """
    size_C = _mean_observed(np.abs(history_TC), history_TC)
    least_C = 1e-12 * np.nan_to_num(size_C)
    scale_C = np.ones(history_TC.shape[1])
    for better_C in (size_C, lag_mae(history_TC, 1), lag_mae(history_TC, season)):
        scale_C = np.where(np.nan_to_num(better_C) > least_C, better_C, scale_C)
    return scale_C


def mase(truth_HC: Floats, mean_HC: Floats, scale_C: Floats) -> Floats:
    """mean_h |y - f| / scale, without units; `scale` by `mase_scale`. Below 1 beats the seasonal naive in sample."""
    return mae(truth_HC, mean_HC) / scale_C


def pinball(truth_HC: Floats, quantile_HC: Floats, level: float) -> Floats:
    """mean_h max(p (y - q), (p - 1)(y - q)) for the quantile q of probability p = `level` in (0, 1)."""
    over_HC = truth_HC - quantile_HC
    return _mean_observed(np.maximum(level * over_HC, (level - 1) * over_HC), truth_HC)


def crps(truth_HC: Floats, quantiles: Mapping[float, Floats]) -> Floats:
    """2 mean_p pinball_p, in units of the target; NaN without quantiles.

    The continuous ranked probability score is 2 times the integral of the pinball loss over p in (0, 1), so this is
    its estimate where the levels spread evenly, (i - 1/2) / n, and otherwise a score that weighs the levels that were
    asked for. Forecasts can be compared by it if their levels are the same. With the median alone it is the MAE.
    """
    if not quantiles:
        return np.full(truth_HC.shape[1], np.nan)
    return 2 * np.mean([pinball(truth_HC, q_HC, p) for p, q_HC in quantiles.items()], axis=0)


def coverage(truth_HC: Floats, low_HC: Floats, high_HC: Floats) -> Floats:
    """Share of the known steps with low <= y <= high."""
    inside_HC = np.where(np.isnan(low_HC + high_HC), np.nan, (low_HC <= truth_HC) & (truth_HC <= high_HC))
    return _mean_observed(inside_HC, truth_HC)
