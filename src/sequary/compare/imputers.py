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

from sequary.compare import candidates
from sequary.compare.ask import Ask
from sequary.compare.candidates import Catalogued, Kind, Ordinary, Untrained
from sequary.compare.entrants import OutOfTime
from sequary.compare.hiding import seen
from sequary.data.panel import Panel
from sequary.tasks.impute import floors, rivals
from sequary.tasks.impute.fitted import Filled, Fitted
from sequary.tasks.impute.gaps import Bools
from sequary.tasks.impute.train import train
from sequary.tasks.whole_windows import targets

Rival = rivals.Neighbours | rivals.Regressions
LEAST = 200
"""Donors below which a rival says nothing."""


class Learned(candidates.Learned, Protocol):
    """What came of learning."""

    def fill(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> list[Filled]:
        """Every series, hidden cells filled like missing ones; NaN where it cannot say."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled(Untrained):
    """A fill that needs no learning beforehand."""

    rule: floors.Fill

    def fill(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> list[Filled]:
        known = seen(panel, hidden)
        return [
            Filled(values=values, missing=np.isnan(series.values), half={})
            for values, series in zip(self.rule(known), known.series, strict=True)
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class FloorEntrant(Ordinary):
    rule: floors.Fill

    def learn(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> Ruled:
        return Ruled(self.rule)


@dataclasses.dataclass(frozen=True, slots=True)
class RivalEntrant(Ordinary):
    rule: type[Rival]
    kind: Kind = dataclasses.field(default="rival", kw_only=True)
    seeded: bool = dataclasses.field(default=True, kw_only=True)

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
class Trained(candidates.Trained[Fitted]):
    def fill(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> list[Filled]:
        shares = ask.levels if self.fitted.intervals.known else ()
        return self.fitted.fill(targets(seen(panel, hidden)), shares)


@dataclasses.dataclass(frozen=True, slots=True)
class ImputerEntrant(Catalogued):
    def learn(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> Trained:
        return Trained(self.fit(seen(panel, hidden), ask))

    def fit(self, panel: Panel, ask: Ask) -> Fitted:
        """On all that a panel holds."""
        return train(self.recipe, panel, self.training(ask))


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
