"""The one pipeline: learn before the first origin, forecast at each, compare with what came.

Settings are chosen by it, the board's errors come from it, and the leak probe replays it: `forecasts` is the only place
where an entrant meets the data.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequary.compare import scoring
from sequary.compare.ask import Ask
from sequary.compare.entrants import Entrant, Learned
from sequary.compare.folds import Folds, Origin, known
from sequary.data.panel import Forecast, Panel

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run found. Losses are [U][O]: units by origins, NaN where there is none."""

    losses: dict[str, list[list[float]]]
    params: int = 0
    train_s: float = 0.0
    latency_ms: float = 0.0
    curve: list[tuple[int, float, float | None]] = dataclasses.field(default_factory=list)
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What was chosen by measuring, to be replayed: precision and batch of a system."""
    drawn: dict[str, dict[str, list[float]]] = dataclasses.field(default_factory=dict)
    """"unit@origin" -> mean, lo80, hi80 …: the forecasts that the report draws."""

    def means(self) -> dict[str, float]:
        """Metric -> mean over units and origins."""
        return {name: scoring.mean(np.array(rows, float)) for name, rows in self.losses.items()}

    def failed(self) -> str | None:
        """In words, how many answers are not finite, or too large for a metric."""
        for name, losses in self.losses.items():
            rows = np.array(losses, float)
            bad = int(np.isinf(rows).sum())
            if bad:
                return f"{bad} of {int((~np.isnan(rows)).sum())} answers are not finite, or too large for {name}"
        return None


def forecasts(
    entrant: Entrant, panel: Panel, first: Origin, origins: Sequence[Origin], ask: Ask
) -> tuple[Learned, list[list[Forecast]]]:
    """What it learned before `first`, and its forecasts at each origin, for the series that `known` keeps there."""
    learned = entrant.learn(panel, first, ask)
    return learned, [learned.forecast(panel, origin, ask) for origin in origins]


def trial(entrant: Entrant, panel: Panel, origins: Sequence[Origin], ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
    """One run over the origins of one role, scored. `drawn`: names ("unit@origin") of the forecasts to keep."""
    learned, found = forecasts(entrant, panel, origins[0], origins, ask)
    names = scoring.units(panel)
    losses: dict[str, Floats] = {}
    kept_forecasts: dict[str, dict[str, list[float]]] = {}
    for o, (origin, said) in enumerate(zip(origins, found, strict=True)):
        kept = known(panel, origin)[1]
        for metric, loss_U in scoring.score(panel, origin, kept, said, ask.horizon, ask.levels).items():
            losses.setdefault(metric, np.full((len(names), len(origins)), np.nan))[:, o] = loss_U
        for index, forecast in zip(kept, said, strict=True):
            for c in range(len(panel.channels)):
                name = f"{names[index * len(panel.channels) + c]}@{o}"
                if name in drawn:
                    kept_forecasts[name] = _lines(forecast, c, ask)
    return Outcome(
        losses={metric: rows.tolist() for metric, rows in losses.items()},
        params=learned.params,
        train_s=learned.train_s,
        latency_ms=1000 * latency(learned, panel, origins[-1], ask),
        curve=learned.curve,
        fixed=learned.fixed,
        drawn=kept_forecasts,
    )


def latency(learned: Learned, panel: Panel, origin: Origin, ask: Ask, repeats: int = 5) -> float:
    """Seconds of one forecast of every channel of one series: the median of five, after one; fewer where it is slow."""
    index = next(iter(known(panel, origin)[1]))
    one = dataclasses.replace(panel, series=(panel.series[index],))
    here = dataclasses.replace(origin, rows=(origin.rows[index],))
    times: list[float] = []
    for _ in range(repeats + 1):
        began = perf_counter()
        learned.forecast(one, here, ask)
        times.append(perf_counter() - began)
        if len(times) > 1 and sum(times[1:]) > 1:
            break
    return statistics.median(times[1:])


def _lines(forecast: Forecast, channel: int, ask: Ask) -> dict[str, list[float]]:
    found = {"mean": forecast.mean[:, channel].tolist()}
    for level in ask.levels if forecast.quantiles else ():
        low, high = round((1 - level) / 2, 12), round((1 + level) / 2, 12)
        found[f"lo{scoring.percent(level)}"] = forecast.quantiles[low][:, channel].tolist()
        found[f"hi{scoring.percent(level)}"] = forecast.quantiles[high][:, channel].tolist()
    return found


def pictures(panel: Panel, folds: Folds, horizon: int, most: int = 8) -> list[str]:
    """ "unit@origin" of what the report draws: many series at the last origin, or few at the latest origins."""
    names, width = scoring.units(panel), len(panel.channels)
    board = folds.board
    shown: list[str] = []
    for o in range(len(board) - 1, -1, -1):
        kept = known(panel, board[o])[1]
        whole = [i for i in kept if _complete(panel, i, board[o], horizon)]
        room = most - len(shown)
        units = [i * width + c for i in whole for c in range(width)]
        step = max(1, -(-len(units) // room))
        shown += [f"{names[u]}@{o}" for u in units[::step]]
        if len(shown) >= most:
            break
    return shown


def _complete(panel: Panel, index: int, origin: Origin, horizon: int) -> bool:
    truth = scoring.padded_truth(panel, index, origin.rows[index], horizon)
    return bool(np.isfinite(truth).mean() > 0.5)
