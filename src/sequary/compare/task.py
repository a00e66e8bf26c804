"""What a comparison does with its data, whatever the data is: run a candidate, probe it, refit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Plot
from sequary.compare.footprint import Footprint


class Task:
    """Picklable: it travels to worker processes with its data. Tasks extend it, for what not all of them have."""

    def run(self, entrant: Any, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        """Learn before the first origin of a role ("choice", "board"), score at all of them."""
        raise NotImplementedError

    def probe(self, entrant: Any, ask: Ask) -> list[float]:
        """The leak probe's greatest shift at each origin."""
        raise NotImplementedError

    def plots(
        self, names: Sequence[str], drawn: Mapping[str, Mapping[str, dict[str, list[float]]]], ask: Ask
    ) -> list[Plot]:
        """For the report: each of `names` with what the candidates of `drawn` said there. Only of tasks that have it drawn."""
        raise NotImplementedError(f"{type(self).__name__} prepares no names to draw")

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        """Parameters and memory of one training step, before any training."""
        raise NotImplementedError

    def fitted_to(self, entrant: Any, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        """The setting with which one run of a rival takes at most about `seconds`, and how long it takes. Only of tasks with rivals."""
        raise NotImplementedError(f"{type(self).__name__} has no rivals")

    def rival_costs(self, entrant: Any, ask: Ask) -> dict[str, float]:
        """What a rival's `fitted_to` needs: latency_ms, start, step. Only of tasks with rivals."""
        raise NotImplementedError(f"{type(self).__name__} has no rivals")

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        """Train a system on all data and save it."""
        raise NotImplementedError
