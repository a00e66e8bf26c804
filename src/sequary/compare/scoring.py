"""Forecasts against the truth: one loss for each unit (series x channel) at an origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sequary.compare.folds import Origin
from sequary.data.panel import Forecast, Panel
from sequary.tasks.forecast import metrics

Floats = NDArray[np.float64]

METRICS = ("mase", "mae", "mse", "crps")
"""Those that can rank a board of forecasts."""


def probabilities(levels: Sequence[float]) -> tuple[float, ...]:
    """The quantiles that intervals of these shares and the median need: 0.8 -> 0.1, 0.5, 0.9."""
    return tuple(sorted({0.5, *(round(p, 12) for c in levels for p in ((1 - c) / 2, (1 + c) / 2))}))


def units(panel: Panel) -> list[str]:
    """Names of the units: series of a long table, channels of a wide one."""
    if len(panel.series) == 1:
        return list(panel.channels)
    if len(panel.channels) == 1:
        return [s.id for s in panel.series]
    return [f"{s.id}/{channel}" for s in panel.series for channel in panel.channels]


def padded_truth(panel: Panel, index: int, rows: int, horizon: int) -> Floats:
    """[H, C] what came after `rows` rows of a series; NaN where nothing is known."""
    found = np.full((horizon, len(panel.channels)), np.nan)
    came = panel.series[index].values[rows : rows + horizon]
    found[: len(came)] = came
    return found


def score(
    panel: Panel,
    origin: Origin,
    kept: Sequence[int],
    forecasts: Sequence[Forecast],
    horizon: int,
    levels: Sequence[float],
) -> dict[str, Floats]:
    """Metric -> [U]; NaN where there was no forecast or no truth. A forecast that is NaN where truth is known gives inf."""
    width = len(panel.channels)
    found: dict[str, Floats] = {}
    for index, forecast in zip(kept, forecasts, strict=True):
        rows = origin.rows[index]
        truth_HC = padded_truth(panel, index, rows, horizon)
        losses = _losses(truth_HC, forecast, panel.series[index].values[:rows], panel.frequency.season, levels)
        known_C = np.isfinite(truth_HC).any(axis=0)
        for name, loss_C in losses.items():
            row = found.setdefault(name, np.full(len(panel.series) * width, np.nan))
            row[index * width : (index + 1) * width] = np.where(known_C & np.isnan(loss_C), np.inf, loss_C)
    return found


def _losses(
    truth_HC: Floats, forecast: Forecast, history_TC: Floats, season: int, levels: Sequence[float]
) -> dict[str, Floats]:
    mean_HC, quantiles = forecast.mean, forecast.quantiles
    found = {
        "mase": metrics.mase(truth_HC, mean_HC, metrics.mase_scale(history_TC, season)),
        "mae": metrics.mae(truth_HC, mean_HC),
        "mse": metrics.mse(truth_HC, mean_HC),
    }
    if quantiles:
        found["crps"] = metrics.crps(truth_HC, quantiles)
        for level in levels:
            low, high = round((1 - level) / 2, 12), round((1 + level) / 2, 12)
            found[f"coverage_{percent(level)}"] = metrics.coverage(truth_HC, quantiles[low], quantiles[high])
    return found


def percent(level: float) -> str:
    return f"{100 * level:g}"


def average(losses: Mapping[str, Floats]) -> dict[str, float]:
    """Metric -> mean over all known entries; a failed forecast makes it infinite."""
    return {name: mean(values) for name, values in losses.items()}


def mean(values: Floats) -> float:
    """Of the entries that are not NaN; NaN without any."""
    some = values[~np.isnan(values)]
    return float(some.mean()) if some.size else math.nan
