"""A task whose work is sleep, or nothing at all: what is planned and run is seen without any training."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Fold
from sequary.compare.footprint import Footprint
from sequary.compare.measure import Limits
from sequary.compare.options import Options
from sequary.compare.prepare import Prepared
from sequary.compare.task import Task


@dataclasses.dataclass(frozen=True)
class Sleeper:
    """A system whose step takes `step_s`; `slows` times that once it is measured."""

    id: str
    step_s: float
    slows: float = 1.0
    title: str = "sleeps"
    kind: str = "system"
    seeded: bool = True
    trained: bool = True

    def settings(self) -> list[dict[str, Any]]:
        return [{"lr": value} for value in (0.1, 0.2, 0.3, 0.4)]


@dataclasses.dataclass(frozen=True)
class SleepTask(Task):
    trace: Path
    """A file that gets a line for each run."""

    def run(self, entrant: Sleeper, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        steps = ask.steps or 0
        seconds = steps * entrant.step_s * (1 if steps <= 22 else entrant.slows)
        time.sleep(seconds)
        with self.trace.open("a") as file:
            file.write(f"{entrant.id} {role} {steps} {ask.setting.get('lr')} {ask.seed}\n")
        score = float(ask.setting.get("lr", 0.0)) + ask.seed / 1000
        return Outcome(
            losses={"mase": [[score] * 2]}, params=1, train_s=seconds, fixed={"precision": "full", "batch": 1}
        )

    def probe(self, entrant: Sleeper, ask: Ask) -> list[float]:
        return [0.0] * 3

    def footprint(self, entrant: Sleeper, ask: Ask) -> Footprint:
        return Footprint(1, 1.0)

    def rival_costs(self, entrant: Any, ask: Ask) -> dict[str, float]:
        raise NotImplementedError

    def fitted_to(self, entrant: Any, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        raise NotImplementedError

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        folder.mkdir()


def prepared(
    out: Path,
    sleepers: Sequence[Sleeper],
    *,
    budget: float = math.inf,
    steps: int | None = None,
    workers: int = 2,
    seeds: int = 2,
) -> Prepared:
    """With a budget in seconds, or in steps."""
    given = Options(
        horizon=1,
        budget=budget,
        steps=steps,
        systems=None,
        family=None,
        metric=None,
        limits=Limits(),
        seeds=seeds,
        levels=(),
        out=out,
        workers=workers,
    )
    return Prepared(
        task=SleepTask(out.parent / "trace"),
        name="forecast",
        options=given,
        metric="mase",
        ask=Ask(horizon=1),
        entrants=list(sleepers),
        units=["a"],
        folds=[Fold(origin=str(i), role="board" if i else "choice", horizon=1) for i in range(3)],
        data={},
        lines=(),
        suspects=[],
        drawn=(),
        arguments={"budget": given.budget_s, "steps": steps, "candidates": [s.id for s in sleepers], "data": "d"},
    )
