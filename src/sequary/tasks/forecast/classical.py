"""ETS and Theta, as statsforecast (extra `[classical]`) fits them: one model a series and channel, afresh at each origin.

They know no missing values. The history ends at the last known value, from where the forecast goes that much further;
gaps inside are bridged by straight lines. Only the latest `history` values count: ETS takes about 1 ms a value at
season 24 (Theta 0.1 ms), and ETTh1's next day was forecast as well from 300 as from 3000. A channel with fewer than
eight values gets the seasonal naive forecast. Intervals are the models' own.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Forecast, Panel
from sequary.tasks.forecast.floors import SeasonalNaive, known_values

Floats = NDArray[np.float64]


LEAST = 8
"""Values below which statsforecast refuses to fit."""


def available() -> bool:
    """Whether statsforecast is installed."""
    return importlib.util.find_spec("statsforecast") is not None


class _Model(Protocol):
    def forecast(self, y: Floats, h: int, *, level: Any) -> dict[str, Floats]: ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ETS:
    """Exponential smoothing; errors, trend and season chosen by AICc (Hyndman et al. 2002)."""

    history: int = 1000
    """Latest values used; three seasons at least."""

    def forecast(self, panel_cut: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
        from statsforecast.models import AutoETS

        return _forecast(AutoETS(season_length=panel_cut.frequency.season), self.history, panel_cut, horizon, levels)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Theta:
    """The dynamic optimised theta method (Assimakopoulos & Nikolopoulos 2000; Fiorucci et al. 2016)."""

    history: int = 1000
    """Latest values used; three seasons at least."""

    def forecast(self, panel_cut: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
        from statsforecast.models import DynamicOptimizedTheta

        model = DynamicOptimizedTheta(season_length=panel_cut.frequency.season)
        return _forecast(model, self.history, panel_cut, horizon, levels)


def _forecast(model: _Model, history: int, panel: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
    keep = max(history, 3 * panel.frequency.season)
    floors = SeasonalNaive().forecast(panel, horizon, levels)
    found: list[Forecast] = []
    for series, floor in zip(panel.series, floors, strict=True):
        mean_HC, quantiles = floor.mean.copy(), {p: q_HC.copy() for p, q_HC in floor.quantiles.items()}
        for c, known_T in enumerate(known_values(panel, series).T):
            row_N = np.flatnonzero(known_T)
            y = np.interp(np.arange(row_N[0], row_N[-1] + 1), row_N, series.values[row_N, c])[-keep:]
            if len(y) < LEAST:
                continue
            skip = len(series) - 1 - row_N[-1]
            said = _asked(model, y, skip + horizon, levels)
            mean_HC[:, c] = said[0.5][skip:]
            for p in levels:
                quantiles[p][:, c] = said[p][skip:]
        found.append(dataclasses.replace(floor, mean=mean_HC, quantiles=quantiles))
    return found


def _asked(model: _Model, y: Floats, steps: int, levels: Sequence[float]) -> dict[float, Floats]:
    """Probability -> [steps], the mean standing for 0.5; statsforecast wants interval shares in percent."""
    share = {p: float(f"{100 * abs(2 * p - 1):.10g}") for p in levels if p != 0.5}
    said = model.forecast(y, steps, level=sorted(set(share.values())) or None)
    ends = {p: said[f"{'lo' if p < 0.5 else 'hi'}-{percent}"] for p, percent in share.items()}
    return {0.5: said["mean"], **ends}
