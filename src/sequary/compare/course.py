"""What one candidate has still to run: a function of what it has run so far, so that a killed comparison continues.

Runs are named `rung0-0`, `rung0-1`, … `rung1-…`, `rung2-…` (the settings of a rung beside each other), then `seed0`,
`seed1`, … with the setting that won. Scores are those of choice origins; of equal ones the earlier setting wins.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.board import Rung
from sequary.compare.plan import RUNGS, Plan, survivors

Result = Mapping[str, Any]
"""What a worker wrote: `score`, `seconds`, …, or `error`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One run: what is asked, and over the origins of which role."""

    name: str
    role: str
    ask: Ask


@dataclasses.dataclass(frozen=True, slots=True)
class Course:
    plan: Plan
    ask: Ask
    """Of which setting, steps and seed are filled in."""

    def rungs(self, done: Mapping[str, Result]) -> tuple[list[Rung], list[Step], int | None]:
        """Rungs that ran, the runs that the current rung still needs, and which setting won (None: not yet known)."""
        alive = list(range(len(self.plan.settings)))
        if len(alive) == 1:
            return [], [], 0
        found: list[Rung] = []
        for rung, (part, keep) in enumerate(zip(RUNGS, (*survivors(len(alive))[1:], 1), strict=True)):
            steps = max(1, (self.plan.steps or 1) // part)
            names = {i: f"rung{rung}-{i}" for i in alive}
            missing = [i for i in alive if names[i] not in done]
            if missing:
                todo = [Step(names[i], "choice", self._ask(i, steps, 0)) for i in missing]
                return found, todo, None
            score = {i: done[names[i]].get("score") for i in alive}
            ranked = sorted(alive, key=lambda i: (math.inf if score[i] is None else score[i], i))
            kept = [i for i in ranked[:keep] if score[i] is not None]
            found += [
                Rung(
                    rung=rung,
                    setting=self.plan.settings[i],
                    steps=steps,
                    seconds=done[names[i]]["seconds"],
                    score=score[i],
                    kept=i in kept,
                )
                for i in alive
            ]
            if not kept:
                return found, [], -1
            alive = sorted(kept)
        return found, [], alive[0]

    def todo(self, done: Mapping[str, Result]) -> list[Step]:
        """What can run now, in order; empty when the candidate has finished, or failed."""
        if self.plan.refused:
            return []
        _, runs, won = self.rungs(done)
        if won is None or won < 0:
            return runs
        if any("error" in done.get(f"seed{s}", {}) for s in range(self.plan.seeds)):
            return []
        return [self.final(won, s) for s in range(self.plan.seeds) if f"seed{s}" not in done]

    def final(self, setting: int, seed: int) -> Step:
        """A final run: learn before the first board origin."""
        return Step(f"seed{seed}", "board", self._ask(setting, self.plan.final or self.plan.steps, seed))

    def left(self, done: Mapping[str, Result]) -> float:
        """Seconds that the runs to come will take: by the plan, at the pace so far."""
        return self.pace(done) * sum((n - len(_ran(prefix, done))) * seconds for prefix, n, seconds in self._stages())

    def pace(self, done: Mapping[str, Result]) -> float:
        """What runs took, as a multiple of what the plan says."""
        ran = [(_ran(prefix, done), seconds) for prefix, _, seconds in self._stages()]
        planned = sum(len(each) * seconds for each, seconds in ran)
        return sum(sum(each) for each, _ in ran) / planned if planned else 1.0

    def _stages(self) -> list[tuple[str, int, float]]:
        """Prefix of the names of runs, their number, the seconds that the plan gives each."""
        plan, tried = self.plan, len(self.plan.settings)
        counts = survivors(tried) if tried > 1 else ()
        rungs = [(f"rung{r}-", n, seconds) for r, (n, seconds) in enumerate(zip(counts, plan.rung_s, strict=True))]
        part = plan.final / plan.steps if plan.final and plan.steps else 1.0
        return [*rungs, ("seed", plan.seeds, plan.run_s * part)]

    def _ask(self, setting: int, steps: int | None, seed: int) -> Ask:
        return self.ask.but(setting={**self.plan.settings[setting], **self.plan.fixed}, steps=steps, seed=seed)


def _ran(prefix: str, done: Mapping[str, Result]) -> list[float]:
    return [result["seconds"] for name, result in done.items() if name.startswith(prefix)]
