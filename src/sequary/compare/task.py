"""What a comparison does with its data, whatever the data is: run a candidate, probe it, refit it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from sequary.compare import backtest, leak
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.entrants import Entrant, Sized
from sequary.compare.folds import Folds
from sequary.compare.footprint import Footprint, of_forecaster
from sequary.compare.systems import SystemEntrant
from sequary.data.panel import Panel
from sequary.tasks import saved


class Task(Protocol):
    """Picklable: it travels to worker processes with its data."""

    def run(self, entrant: Any, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        """Learn before the first origin of a role ("choice", "board"), score at all of them."""
        ...

    def probe(self, entrant: Any, ask: Ask) -> list[float]:
        """The leak probe's greatest shift at each origin."""
        ...

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        """Parameters and memory of one training step, before any training."""
        ...

    def fitted_to(self, entrant: Any, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        """The setting with which one run of a rival takes at most about `seconds`, and how long it takes."""
        ...

    def rival_costs(self, entrant: Any, ask: Ask) -> dict[str, float]:
        """What a rival's `fitted_to` needs: latency_ms, start, step."""
        ...

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        """Train a system on all data and save it."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class ForecastTask:
    panel: Panel
    folds: Folds

    def run(self, entrant: Entrant, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        origins = self.folds.choice if role == "choice" else self.folds.board
        return backtest.trial(entrant, self.panel, origins, ask, drawn)

    def probe(self, entrant: Entrant, ask: Ask) -> list[float]:
        return leak.probe(entrant, self.panel, self.folds, ask)

    def footprint(self, entrant: Entrant, ask: Ask) -> Footprint:
        return of_forecaster(cast("SystemEntrant", entrant).system, self.panel, ask)

    def fitted_to(self, entrant: Sized, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        return entrant.fitted_to(self.panel, seconds, costs, len(self.folds.board))

    def rival_costs(self, entrant: Sized, ask: Ask) -> dict[str, float]:
        found = entrant.costs(self.panel, self.folds.choice[0], ask)
        learned = entrant.learn(self.panel, self.folds.choice[0], ask.but(setting=entrant.light()))
        full = entrant.learn(self.panel, self.folds.choice[0], ask) if not entrant.seeded else learned
        return {**found, "latency_ms": 1000 * backtest.latency(full, self.panel, self.folds.choice[-1], ask)}

    def refit(self, entrant: Entrant, ask: Ask, folder: Path) -> None:
        saved.save(cast("SystemEntrant", entrant).fit(self.panel, ask), folder)
