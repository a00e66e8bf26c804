"""Who takes part in a comparison of detectors: residuals, an isolation forest and systems, by one interface.

An entrant is handed the whole panel and an origin, and must itself look at nothing from after it; labels it is never handed.
Its threshold is the least with at most one alarm per 1000 steps of the last fifth of what it may know, which it did not
learn from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Protocol

from sequary.compare import candidates
from sequary.compare.ask import Ask
from sequary.compare.candidates import Catalogued, Kind, Ordinary, Untrained
from sequary.compare.entrants import OutOfTime
from sequary.compare.folds import Origin
from sequary.data.panel import Floats, Panel
from sequary.tasks.detect.alarms import Threshold, distance
from sequary.tasks.detect.fitted import Fitted
from sequary.tasks.detect.floors import Detector, LagForest, Residuals
from sequary.tasks.detect.train import train, unlearnt
from sequary.tasks.forecast.holdout import held_out

LEAST = 32
"""Steps before the first origin below which a series is left out; of the held-out part of a floor, at least."""


class Learned(candidates.Learned, Protocol):
    """What came of learning."""

    @property
    def threshold(self) -> float: ...
    @property
    def delay(self) -> int:
        """Later steps that a step's score may depend on."""
        ...

    def scores(self, panel: Panel) -> list[Floats]:
        """[T] of each series; NaN where there is nothing to tell."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Told(Untrained):
    """A detector that needs no steps of training, and no later step for a score."""

    detector: Detector
    threshold: float
    delay: int = 0

    def scores(self, panel: Panel) -> list[Floats]:
        return self.detector.scores(panel)


@dataclasses.dataclass(frozen=True, slots=True)
class ResidualEntrant(Ordinary):
    floor: Residuals

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Told:
        return judged(panel.cut(origin.rows), self.floor.learn)


@dataclasses.dataclass(frozen=True, slots=True)
class ForestEntrant(Ordinary):
    id: str = "isolation-forest"
    title: str = "Isolation forest on lags"
    kind: Kind = dataclasses.field(default="rival", kw_only=True)
    seeded: bool = dataclasses.field(default=True, kw_only=True)

    def light(self) -> dict[str, Any]:
        return {"trees": 10}

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Told:
        forest = LagForest(**ask.setting)
        return judged(panel.cut(origin.rows), lambda known: forest.learn(known, ask.seed))

    def costs(self, panel: Panel, origin: Origin, ask: Ask) -> dict[str, float]:
        """Seconds of one tree, and of all the rest."""
        few, many = (self.learn(panel, origin, ask.but(setting={"trees": n})).train_s for n in (5, 25))
        tree = max(0.0, many - few) / 20
        return {"start": max(0.0, few - 5 * tree), "step": tree}

    def fitted_to(self, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        """As many trees as there is time for, ten at least."""
        most = LagForest().trees
        trees = int(min(most, (seconds - costs["start"]) / max(costs["step"], 1e-9)))
        if trees < 10:
            need = costs["start"] + 10 * costs["step"]
            raise OutOfTime(f"a forest of 10 trees takes {need:.1f} s, its share is {seconds:.1f} s")
        return {"trees": trees}, costs["start"] + trees * costs["step"]


def judged(known: Panel, learn: Any) -> Told:
    """Learnt from the first four fifths of each series; its threshold comes from the last."""
    began = perf_counter()
    ends, held = held_out(known, LEAST)
    detector: Detector = learn(known.cut(ends.tolist()))
    apart = distance(known.frequency.season)
    threshold = Threshold.fit(unlearnt(detector.scores(known), ends, held), apart)
    return Told(detector, threshold.at(), train_s=perf_counter() - began)


@dataclasses.dataclass(frozen=True, slots=True)
class Trained(candidates.Trained[Fitted]):
    @property
    def threshold(self) -> float:
        return self.fitted.threshold.at()

    @property
    def delay(self) -> int:
        return self.fitted.delay

    def scores(self, panel: Panel) -> list[Floats]:
        return self.fitted.scores(panel)


@dataclasses.dataclass(frozen=True, slots=True)
class DetectorEntrant(Catalogued):
    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Trained:
        return Trained(self.fit(panel.cut(origin.rows), ask))

    def fit(self, panel: Panel, ask: Ask) -> Fitted:
        """On all that a panel holds."""
        return train(self.recipe, panel, self.training(ask))


def ordinary(panel: Panel) -> list[ResidualEntrant | ForestEntrant]:
    """Floors and the rival; without a season its residuals are those of the last value."""
    season = panel.frequency.season
    seasonal = ResidualEntrant("seasonal-residuals", f"Change since {season} steps ago", Residuals())
    last = ResidualEntrant("last-value-residuals", "Change since the last step", Residuals(1))
    return [*([seasonal] if season > 1 else []), last, ForestEntrant()]
