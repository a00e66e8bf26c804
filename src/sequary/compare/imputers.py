"""Who takes part in a comparison of imputers: floors, scikit-learn's imputers and systems, by one interface.

An entrant is handed the whole panel and what is hidden of it, and must itself hide that (`seen`) before it looks: whether it
does is what the leak probe finds out, by the same two calls that the board makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from sequary.compare.ask import Ask
from sequary.compare.entrants import Kind, OutOfTime, Point
from sequary.compare.hiding import seen
from sequary.compare.systems import frozen, settings_of, with_rhythm
from sequary.core import catalogue
from sequary.data.panel import Panel
from sequary.tasks.impute import floors, rivals
from sequary.tasks.impute.fitted import Filled, Fitted
from sequary.tasks.impute.gaps import Bools
from sequary.tasks.impute.train import targets, train

Rival = rivals.Neighbours | rivals.Regressions
LEAST = 200
"""Donors below which a rival says nothing."""


class Learned(Protocol):
    """What came of learning."""

    @property
    def params(self) -> int: ...
    @property
    def train_s(self) -> float: ...
    @property
    def curve(self) -> list[Point]: ...
    @property
    def fixed(self) -> dict[str, Any]: ...

    def fill(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> list[Filled]:
        """Every series, hidden cells filled like missing ones; NaN where it cannot say."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled:
    """A fill that needs no learning beforehand."""

    rule: floors.Fill
    params: int = 0
    train_s: float = 0.0
    curve: list[Point] = dataclasses.field(default_factory=list[Point])
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def fill(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> list[Filled]:
        known = seen(panel, hidden)
        return [
            Filled(values=values, missing=np.isnan(series.values), half={})
            for values, series in zip(self.rule(known), known.series, strict=True)
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class FloorEntrant:
    id: str
    title: str
    rule: floors.Fill
    kind: Kind = "floor"
    seeded: bool = False
    trained: bool = False

    def settings(self) -> list[dict[str, Any]]:
        return [{}]

    def light(self) -> dict[str, Any]:
        return {}

    def learn(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> Ruled:
        return Ruled(self.rule)


@dataclasses.dataclass(frozen=True, slots=True)
class RivalEntrant:
    id: str
    title: str
    rule: type[Rival]
    kind: Kind = "rival"
    seeded: bool = True
    trained: bool = False

    def settings(self) -> list[dict[str, Any]]:
        return [{}]

    def light(self) -> dict[str, Any]:
        return {"donors": LEAST}

    def learn(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> Ruled:
        """It learns when it fills: the same rows teach and are filled."""
        rule = self.rule(**ask.setting)
        return Ruled(lambda known: rule.fill(known, ask.seed))

    def costs(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> dict[str, float]:
        """Seconds of a fill from `LEAST` donors and from five times as many."""
        times: list[float] = []
        for donors in (LEAST, 5 * LEAST):
            began = perf_counter()
            self.rule(donors=donors).fill(seen(panel, hidden), ask.seed)
            times.append(perf_counter() - began)
        donor = max(0.0, times[1] - times[0]) / (4 * LEAST)
        return {"start": max(0.0, times[0] - LEAST * donor), "step": donor, "latency_ms": 1000 * times[0]}

    def fitted_to(self, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        """As many donors as there is time for: the cost grows with them."""
        fit = (seconds - costs["start"]) / max(costs["step"], 1e-9)
        if fit < LEAST:
            need = costs["start"] + LEAST * costs["step"]
            raise OutOfTime(f"a fill from {LEAST} rows takes {need:.1f} s, its share is {seconds:.1f} s")
        donors = int(min(self.rule().donors, fit))
        return {"donors": donors}, costs["start"] + donors * costs["step"]


@dataclasses.dataclass(frozen=True, slots=True)
class Trained:
    fitted: Fitted

    @property
    def params(self) -> int:
        return self.fitted.params

    @property
    def train_s(self) -> float:
        return self.fitted.train_s

    @property
    def curve(self) -> list[Point]:
        return list(self.fitted.curve)

    @property
    def fixed(self) -> dict[str, Any]:
        """Precision and batch, as measured."""
        chosen = self.fitted.manifest["chosen"]
        return {"precision": chosen["precision"], "batch": chosen["batch"]}

    def fill(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> list[Filled]:
        shares = ask.levels if self.fitted.intervals.known else ()
        return self.fitted.fill(targets(seen(panel, hidden)), shares)


@dataclasses.dataclass(frozen=True, slots=True)
class ImputerEntrant:
    """A system. `id` is what `catalogue.load` takes."""

    id: str
    title: str
    kind: Kind = "system"
    seeded: bool = True
    trained: bool = True

    def settings(self) -> list[dict[str, Any]]:
        return settings_of(catalogue.load(self.id))

    def light(self) -> dict[str, Any]:
        return {"precision": "full", "batch": 4}

    def learn(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> Trained:
        return Trained(self.fit(seen(panel, hidden), ask))

    def fit(self, panel: Panel, ask: Ask) -> Fitted:
        """On all that a panel holds."""
        recipe = catalogue.load(self.id).recipe
        assert recipe is not None
        return train(recipe, panel, seed=ask.seed, steps=ask.steps, settings=with_rhythm(ask), chosen=frozen(ask))


def ordinary() -> list[FloorEntrant | RivalEntrant]:
    return [
        FloorEntrant("linear", "The line between the known values on both sides", floors.linear),
        FloorEntrant("last-value", "The last known value", floors.last_value),
        FloorEntrant("mean", "The mean of the channel", floors.mean),
        FloorEntrant("seasonal-mean", "The mean of the channel at that place of the season", floors.seasonal_mean),
        RivalEntrant("nearest-neighbours", "Mean of the nearest rows", rivals.Neighbours),
        RivalEntrant(
            "regressions", "Each channel regressed on the others and their season, in turn", rivals.Regressions
        ),
    ]
