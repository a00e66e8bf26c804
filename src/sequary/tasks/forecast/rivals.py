"""An ordinary forecaster that is hard to beat: gradient boosting on lags. (The other one: `classical`.)"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from sequary.data.panel import Forecast, Panel, Series
from sequary.tasks.forecast import lags
from sequary.tasks.forecast.conformal import Conformal
from sequary.tasks.forecast.floors import known_values
from sequary.tasks.forecast.metrics import mase_scale

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class BoostedLags:
    """One gradient-boosted regressor for all series, channels and steps ahead; see `lags` for its columns.

    The step is a column (direct forecasting), so a horizon costs one model and errors do not feed on themselves. The
    loss is the absolute error, which MASE asks for. Intervals are conformal: a first model, fitted on all but the
    last forecasts' worth of each series, gives residuals there; the second model is fitted on everything. One thread:
    the same arguments, seed and panel give the same bits. `plan` chooses `max_rows` and `max_iter` for a time.
    """

    def __init__(self, *, max_rows: int = 60_000, max_iter: int = 100) -> None:
        self.max_rows = max_rows
        self.max_iter = max_iter

    def fit(self, panel: Panel, horizon: int, seed: int) -> Self:
        """On a panel that ends at the origin: nothing else is looked at."""
        self._horizon = horizon
        folds = [_calibration_origins(len(s), horizon, len(panel.series)) for s in panel.series]
        self.conformal_ = self._calibrated(panel, horizon, seed, folds)
        self._model = self._trained(panel, horizon, seed)
        return self

    def forecast(self, panel_cut: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
        """Up to the horizon of `fit`. The series need not be those of `fit`, their columns do."""
        if horizon > self._horizon:
            raise ValueError(f"horizon={horizon} exceeds horizon={self._horizon} of the fit; fit again with {horizon}")
        found: list[Forecast] = []
        for series in panel_cut.series:
            mean_HC = self._mean(panel_cut, series, horizon)
            scale_C = mase_scale(series.values, panel_cut.frequency.season)
            times = panel_cut.frequency.extend(series.times[-1], horizon)
            quantiles = self.conformal_.quantiles(mean_HC, scale_C, levels)
            found.append(Forecast(id=series.id, times=times, mean=mean_HC, quantiles=quantiles))
        return found

    def _calibrated(self, panel: Panel, horizon: int, seed: int, folds: list[list[int]]) -> Conformal:
        """From forecasts of the folds by a model that saw nothing from after the first of them."""
        width = len(panel.channels)
        earlier = panel.cut([min(stops, default=len(s)) for s, stops in zip(panel.series, folds, strict=True)])
        residuals: list[Floats] = []
        scales: list[Floats] = []
        if any(folds):
            self._model = self._trained(earlier, horizon, seed)
        for series, known, stops in zip(panel.series, earlier.series, folds, strict=True):
            if not (~np.isnan(known.values)).any(axis=0).all():
                continue
            for stop in stops:
                residuals.append(series.values[stop : stop + horizon] - self._mean(panel, series.cut(stop), horizon))
                scales.append(mase_scale(known.values, panel.frequency.season))
        return Conformal.fit(np.reshape(residuals, (-1, horizon, width)), np.reshape(scales, (-1, width)))

    def _trained(self, panel: Panel, horizon: int, seed: int) -> HistGradientBoostingRegressor:
        chosen = _sample(panel, horizon, self.max_rows, np.random.default_rng(seed))
        x: list[Floats] = []
        y: list[Floats] = []
        for series, (origin_N, step_N, channel_N) in zip(panel.series, chosen, strict=True):
            truth_N = series.values[origin_N + step_N, channel_N]
            known_N = ~np.isnan(truth_N) & ~np.isnan(lags.known_before(series.values)[origin_N, channel_N])
            if not known_N.any():
                continue
            clock_TK = lags.calendar(series.times, panel.frequency)
            table = lags.rows(panel, series, clock_TK, origin_N[known_N], step_N[known_N], channel_N[known_N])
            x.append(table.x_NF)
            y.append((truth_N[known_N] - table.anchor_N) / table.scale_N)
        if not x:
            raise ValueError("no series has two known values to learn from; give a longer history")
        y_N = np.concatenate(y)
        y_N = np.clip(y_N, *np.quantile(y_N, [0.001, 0.999]))  # a window that stood still makes answers without bound
        model = HistGradientBoostingRegressor(
            loss="absolute_error",
            max_iter=self.max_iter,
            early_stopping=False,  # pyright: ignore[reportArgumentType]  # inferred from the default, "auto"
            random_state=seed,
        )
        x_NF = np.concatenate(x)
        # scikit-learn fails on a column without any value; zeros split nothing either.
        x_NF[:, np.isnan(x_NF).all(axis=0)] = 0
        with threadpool_limits(1, user_api="openmp"):
            return model.fit(x_NF, y_N)

    def _mean(self, panel: Panel, series: Series, horizon: int) -> Floats:
        width = known_values(panel, series).shape[1]
        step_HC, channel_HC = np.indices((horizon, width))
        ahead = panel.frequency.extend(series.times[-1], horizon)
        clock_TK = lags.calendar(np.concatenate([series.times, ahead]), panel.frequency)
        origin_N = np.full(step_HC.size, len(series) - 1)
        table = lags.rows(panel, series, clock_TK, origin_N, step_HC.ravel() + 1, channel_HC.ravel())
        with threadpool_limits(1, user_api="openmp"):
            answer_N = self._model.predict(table.x_NF)
        return (table.anchor_N + table.scale_N * answer_N).reshape(horizon, width)


def plan(panel: Panel, seconds: float) -> tuple[int, int]:
    """(max_rows, max_iter) for a fit of about `seconds` or less, from sizes alone, so that a re-run does the same.

    A fit (two models) took 1.4e-8 s a row, column and iteration on a busy core; 2e-8 is planned with. More than
    100,000 rows or 100 iterations gained nothing on ETTh1 and M4 Hourly; fewer than 2,000 rows or 10 iterations are
    not worth calling strong.
    """
    columns = lags.window(panel.frequency.season) + 20 + len(panel.past + panel.future + panel.static)
    work = seconds / (2e-8 * columns)
    max_rows = int(np.clip(work / 100, 2_000, 100_000))
    return max_rows, int(np.clip(work / max_rows, 10, 100))


def _calibration_origins(length: int, horizon: int, series: int) -> list[int]:
    """Up to twenty non-overlapping forecasts in the last quarter (95 % needs 19); one a series where there are hundreds."""
    count = min(20, max(1, 500 // series), length // (4 * horizon))
    return [length - horizon * k for k in range(count, 0, -1)]


def _sample(panel: Panel, horizon: int, most: int, rng: np.random.Generator) -> list[tuple[Ints, Ints, Ints]]:
    """For each series (origin, step, channel) of at most `most` rows, each possible row being equally likely."""
    width, season = len(panel.channels), panel.frequency.season
    # Origins from a full window on, or from the middle of a short series.
    first_S = np.array([min(lags.window(season), len(s) // 2) for s in panel.series])
    count_S = np.array([max(0, len(s) - 1 - n) for s, n in zip(panel.series, first_S, strict=True)])
    end_S = np.cumsum(count_S * horizon * width)
    total = int(end_S[-1])  # too many to list: hundreds of channels make billions
    pick_N = np.sort(rng.choice(total, most, replace=False, shuffle=False)) if total > most else np.arange(total)
    found: list[tuple[Ints, Ints, Ints]] = []
    bounds = np.searchsorted(pick_N, np.concatenate([[0], end_S]))
    for i, (start, stop) in enumerate(itertools.pairwise(bounds)):
        row_N = pick_N[start:stop] - (end_S[i] - count_S[i] * horizon * width)
        row_N, channel_N = row_N // width, row_N % width
        origin_N, step_N = first_S[i] + row_N // horizon, row_N % horizon + 1
        inside_N = origin_N + step_N < len(panel.series[i])
        found.append((origin_N[inside_N], step_N[inside_N], channel_N[inside_N]))
    return found
