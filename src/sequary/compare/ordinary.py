"""Floors and ordinary rivals as entrants: what any system has to beat before it is worth anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.candidates import Kind, Ordinary, Untrained
from sequary.compare.entrants import Entrant, Learned, OutOfTime, Sized
from sequary.compare.folds import Origin, known
from sequary.compare.scoring import probabilities
from sequary.data.panel import Forecast, Panel, Series
from sequary.tasks.forecast import classical, rivals
from sequary.tasks.forecast.floors import Drift, Floor, LastValue, SeasonalNaive

FEW = 3
"""Series, and channels of each, by which a fit is timed: one alone may be much quicker than most."""
MOST_ROWS = 1000
"""Of the history that a classical method reads."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled(Untrained):
    """Learned without learning: a rule that reads the history at each origin."""

    rule: Floor

    def forecast(self, panel: Panel, origin: Origin, ask: Ask) -> list[Forecast]:
        return self.said(known(panel, origin)[0], ask)

    def said(self, seen: Panel, ask: Ask) -> list[Forecast]:
        return self.rule.forecast(seen, ask.horizon, probabilities(ask.levels))


@dataclasses.dataclass(frozen=True, slots=True)
class RuleEntrant(Ordinary):
    """A floor, or a classical method: fitted afresh at each origin from the history, cheaply."""

    rule: type[LastValue | SeasonalNaive | Drift | classical.ETS | classical.Theta]

    def costs(self, panel: Panel, origin: Origin, ask: Ask) -> dict[str, float]:
        """Of a fit to the shortest history and to the longest: the mean over a few series (channels) of the panel."""
        seen = known(panel, origin)[0]
        few = dataclasses.replace(seen, series=tuple(_few(s) for s in seen.series[:: _stride(len(seen.series))]))
        few = dataclasses.replace(few, channels=few.channels[:: _stride(len(few.channels))])
        least = _least(panel)
        self._reading(least).said(few, ask)  # the first fit of a process loads and compiles
        times = [_timed(self._reading(rows), few, ask) for rows in (least, MOST_ROWS)]
        return {"least": times[0], "most": times[1], "rows": min(MOST_ROWS, max(map(len, few.series)))}

    def fitted_to(
        self, panel: Panel, seconds: float, costs: Mapping[str, float], origins: int
    ) -> tuple[dict[str, Any], float]:
        """Its cost grows with the history that it reads, 1000 values unless that takes too long."""
        fits, least = len(panel.series) * len(panel.channels) * origins, _least(panel)
        if fits * costs["most"] <= seconds:
            return {}, fits * costs["most"]
        part = (seconds / fits - costs["least"]) / max(costs["most"] - costs["least"], 1e-9)
        if part < 0:
            needed = (
                f"{fits} fits take about {fits * costs['least']:.0f} s of one core even with {least} values of history"
            )
            raise OutOfTime(f"{needed}, its share is {seconds:.1f} s; raise --budget")
        return {"history": least + int(part * max(0, costs["rows"] - least))}, seconds

    def _reading(self, rows: int) -> Ruled:
        setting: dict[str, Any] = {"history": rows}
        return Ruled(self.rule(**setting))

    def light(self) -> dict[str, Any]:
        return {} if self.kind == "floor" else {"history": 50}

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Learned:
        return Ruled(self.rule(**ask.setting))


def _least(panel: Panel) -> int:
    """Rows of history below which a fit says little."""
    return max(100, 3 * panel.frequency.season)


def _stride(count: int) -> int:
    return max(1, -(-count // FEW))


def _few(series: Series) -> Series:
    return dataclasses.replace(series, values=series.values[:, :: _stride(series.values.shape[1])])


def _timed(method: Ruled, seen: Panel, ask: Ask) -> float:
    """Seconds of one fit."""
    began = perf_counter()
    method.said(seen, ask)
    return (perf_counter() - began) / (len(seen.series) * len(seen.channels))


@dataclasses.dataclass(frozen=True, slots=True)
class Boosted(Untrained):
    model: rivals.BoostedLags

    def forecast(self, panel: Panel, origin: Origin, ask: Ask) -> list[Forecast]:
        return self.model.forecast(known(panel, origin)[0], ask.horizon, probabilities(ask.levels))


@dataclasses.dataclass(frozen=True, slots=True)
class BoostedEntrant(Ordinary):
    id: str = "gradient-boosting"
    title: str = "Gradient boosting on lags"
    kind: Kind = dataclasses.field(default="rival", kw_only=True)
    seeded: bool = dataclasses.field(default=True, kw_only=True)

    def costs(self, panel: Panel, origin: Origin, ask: Ask) -> dict[str, float]:
        """Of a fit of 500 rows without the iterations, and of an iteration of the smallest plan."""
        seen, times = known(panel, origin)[0], list[float]()
        for rows, iterations in ((500, 3), (2000, 23)):
            began = perf_counter()
            rivals.BoostedLags(max_rows=rows, max_iter=iterations).fit(seen, ask.horizon, ask.seed)
            times.append(perf_counter() - began)
        step = max(0.0, times[1] - times[0]) / 20
        return {"start": max(0.0, times[0] - 3 * step), "step": step}

    def fitted_to(
        self, panel: Panel, seconds: float, costs: Mapping[str, float], origins: int
    ) -> tuple[dict[str, Any], float]:
        """`rivals.plan` counts what grows with the rows; the rest is what was measured."""
        rest = costs["start"] + 100 * costs["step"]
        if rest > seconds:
            iterations = max(10, int((seconds - costs["start"]) / max(costs["step"], 1e-9)))
            return {"max_rows": 2000, "max_iter": iterations}, costs["start"] + iterations * costs["step"]
        rows, iterations = rivals.plan(panel, seconds - rest)
        most = rivals.plan(panel, 1e9)
        whole = _seconds(panel, most) if (rows, iterations) == most else seconds - rest
        return {"max_rows": rows, "max_iter": iterations}, rest + min(whole, seconds - rest)

    def light(self) -> dict[str, Any]:
        return {"max_rows": 500, "max_iter": 3}

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Learned:
        began = perf_counter()
        model = rivals.BoostedLags(**ask.setting).fit(known(panel, origin)[0], ask.horizon, ask.seed)
        return Boosted(model, train_s=perf_counter() - began)


def _seconds(panel: Panel, size: tuple[int, int]) -> float:
    """Seconds of the largest fit that `rivals.plan` plans, found by halving."""
    low, high = 0.0, 1e4
    while high - low > 0.1:
        middle = (low + high) / 2
        low, high = (low, middle) if rivals.plan(panel, middle) == size else (middle, high)
    return high


def floors() -> list[Entrant]:
    return [
        RuleEntrant("last-value", "The last known value", LastValue),
        RuleEntrant("seasonal-naive", "The value one season ago", SeasonalNaive),
        RuleEntrant("drift", "The line through the first and the last value", Drift),
    ]


def ordinary() -> list[Sized]:
    """Gradient boosting; ETS and Theta where statsforecast is installed."""
    found: list[Sized] = [BoostedEntrant()]
    if classical.available():
        found.append(RuleEntrant("ets", "Exponential smoothing, chosen by AICc", classical.ETS, kind="rival"))
        found.append(RuleEntrant("theta", "Dynamic optimised Theta", classical.Theta, kind="rival"))
    return found
