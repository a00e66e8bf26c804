"""Floors and ordinary rivals as entrants: what any system has to beat before it is worth anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.entrants import Entrant, Kind, Learned, OutOfTime, Point, Sized
from sequary.compare.folds import Origin, known
from sequary.compare.scoring import probabilities
from sequary.data.panel import Forecast, Panel
from sequary.tasks.forecast import classical, rivals
from sequary.tasks.forecast.floors import Drift, Floor, LastValue, SeasonalNaive


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled:
    """Learned without learning: a rule that reads the history at each origin."""

    rule: Floor
    params: int = 0
    train_s: float = 0.0
    curve: list[Point] = dataclasses.field(default_factory=list[Point])
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def forecast(self, panel: Panel, origin: Origin, ask: Ask) -> list[Forecast]:
        return self.rule.forecast(known(panel, origin)[0], ask.horizon, probabilities(ask.levels))


@dataclasses.dataclass(frozen=True, slots=True)
class RuleEntrant:
    """A floor, or a classical method: fitted afresh at each origin from the history, cheaply."""

    id: str
    title: str
    kind: Kind
    rule: type[LastValue | SeasonalNaive | Drift | classical.ETS | classical.Theta]
    seeded: bool = False
    trained: bool = False

    def settings(self) -> list[dict[str, Any]]:
        return [{}]

    def costs(self, panel: Panel, origin: Origin, ask: Ask) -> dict[str, float]:
        return {}

    def fitted_to(
        self, panel: Panel, seconds: float, costs: Mapping[str, float], origins: int
    ) -> tuple[dict[str, Any], float]:
        """Its cost grows with the history that it reads, 1000 values unless that takes too long."""
        fits = len(panel.series) * len(panel.channels) * origins
        whole = costs["latency_ms"] / 1000 / len(panel.channels) * fits
        part = min(1.0, seconds / max(whole, 1e-9))
        if part * 1000 < max(100, 3 * panel.frequency.season):
            raise OutOfTime(f"{fits} fits take about {whole:.0f} s of one core, its share is {seconds:.1f} s")
        return ({}, whole) if part == 1 else ({"history": int(1000 * part)}, seconds)

    def light(self) -> dict[str, Any]:
        return {} if self.kind == "floor" else {"history": 50}

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Learned:
        return Ruled(self.rule(**ask.setting))


@dataclasses.dataclass(frozen=True, slots=True)
class Boosted:
    model: rivals.BoostedLags
    train_s: float
    params: int = 0
    curve: list[Point] = dataclasses.field(default_factory=list[Point])
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def forecast(self, panel: Panel, origin: Origin, ask: Ask) -> list[Forecast]:
        return self.model.forecast(known(panel, origin)[0], ask.horizon, probabilities(ask.levels))


@dataclasses.dataclass(frozen=True, slots=True)
class BoostedEntrant:
    id: str = "gradient-boosting"
    title: str = "Gradient boosting on lags"
    kind: Kind = "rival"
    seeded: bool = True
    trained: bool = False

    def settings(self) -> list[dict[str, Any]]:
        return [{}]

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
        return Boosted(model, perf_counter() - began)


def _seconds(panel: Panel, size: tuple[int, int]) -> float:
    """Seconds of the largest fit that `rivals.plan` plans, found by halving."""
    low, high = 0.0, 1e4
    while high - low > 0.1:
        middle = (low + high) / 2
        low, high = (low, middle) if rivals.plan(panel, middle) == size else (middle, high)
    return high


def floors() -> list[Entrant]:
    return [
        RuleEntrant("last-value", "The last known value", "floor", LastValue),
        RuleEntrant("seasonal-naive", "The value one season ago", "floor", SeasonalNaive),
        RuleEntrant("drift", "The line through the first and the last value", "floor", Drift),
    ]


def ordinary() -> list[Sized]:
    """Gradient boosting; ETS and Theta where statsforecast is installed."""
    found: list[Sized] = [BoostedEntrant()]
    if classical.available():
        found.append(RuleEntrant("ets", "Exponential smoothing, chosen by AICc", "rival", classical.ETS))
        found.append(RuleEntrant("theta", "Dynamic optimised Theta", "rival", classical.Theta))
    return found
