"""From what was measured to a plan for each candidate: the one place where seconds become steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.entrants import OutOfTime
from sequary.compare.plan import LEAST, RUNGS, Costs, Plan, halving, tried
from sequary.compare.task import Task


def by_time(
    task: Task,
    entrants: Sequence[Any],
    measured: Mapping[str, Mapping[str, Any]],
    ask: Ask,
    *,
    seconds: float,
    workers: int,
    seeds: int,
) -> tuple[dict[str, Plan], float]:
    """A plan for each entrant, and the share (core-seconds) that each of those that learn may spend.

    The winner is refitted at the end, alone: as long as the longest final run is kept back for that.
    """
    first, _ = _plans(task, entrants, measured, ask, seconds, workers, seeds)
    last = max((plan.run_s for plan in first.values() if plan.steps), default=0.0)
    # Run times are in proportion to the seconds given: x + x last / seconds = seconds.
    return _plans(task, entrants, measured, ask, seconds / (1 + last / seconds), workers, seeds)


def by_steps(
    task: Task, entrants: Sequence[Any], measured: Mapping[str, Mapping[str, Any]], ask: Ask, *, steps: int, seeds: int
) -> dict[str, Plan]:
    """A plan for each entrant, whatever it takes: so many steps of a system, the largest setting of a rival."""
    found = _idle(entrants, measured)
    for entrant in (e for e in entrants if e.id not in found):
        costs = measured[entrant.id]
        if entrant.trained:
            found[entrant.id] = _system(costs, ask, tried(len(costs["settings"]), steps), steps, seeds)
        else:
            found[entrant.id] = _rival(task, entrant, costs, math.inf, seeds)
    return found


def _plans(
    task: Task,
    entrants: Sequence[Any],
    measured: Mapping[str, Mapping[str, Any]],
    ask: Ask,
    seconds: float,
    workers: int,
    seeds: int,
) -> tuple[dict[str, Plan], float]:
    found = _idle(entrants, measured)
    learners = [e for e in entrants if e.id not in found]
    level = seconds * workers / max(1, len(learners))
    rivals = [e for e in learners if not e.trained]
    spent = 0.0
    for entrant in rivals:
        found[entrant.id] = _rival(task, entrant, measured[entrant.id], level, seeds)
        spent += min(level, found[entrant.id].run_s * found[entrant.id].seeds)
    systems = [e for e in learners if e.trained]
    if systems:  # what rivals leave of their shares
        level += (len(rivals) * level - spent) / len(systems)
        level = min(level, seconds)  # the runs of one candidate do not all run side by side
    return found | {e.id: _shared(measured[e.id], ask, level, seeds) for e in systems}, level


def _idle(entrants: Sequence[Any], measured: Mapping[str, Mapping[str, Any]]) -> dict[str, Plan]:
    """Of those that learn nothing: floors, and who was refused or crashed while it was measured."""
    found = {e.id: Plan(settings=[{}], steps=None, seeds=1) for e in entrants if e.kind == "floor"}
    return found | {name: plan for name, each in measured.items() if (plan := _refused(each)) is not None}


def _refused(measured: Mapping[str, Any]) -> Plan | None:
    refused = ("crashed", measured["error"]) if "error" in measured else measured.get("refused")
    return None if refused is None else Plan(settings=[{}], steps=None, seeds=0, refused=(refused[0], refused[1]))


def _rival(task: Task, entrant: Any, costs: Mapping[str, Any], level: float, seeds: int) -> Plan:
    runs = seeds if entrant.seeded else 1
    try:
        fixed, seconds = task.fitted_to(entrant, level / runs, costs)
    except OutOfTime as error:
        return Plan(settings=[{}], steps=None, seeds=0, refused=("out of time", str(error)))
    return Plan(settings=[{}], steps=None, seeds=runs, fixed=fixed, run_s=seconds)


def _shared(measured: Mapping[str, Any], ask: Ask, level: float, seeds: int) -> Plan:
    """A system's, with a share of `level` core-seconds."""
    count, steps = halving(measured["settings"], _costs(measured), level, seeds, ask.evaluations)
    if steps < LEAST:
        why = f"its share of the budget, {level:.1f} s of one core, allows {max(0, steps)} steps a run; raise --budget"
        return Plan(settings=[{}], steps=None, seeds=0, refused=("out of time", why))
    return _system(measured, ask, count, steps, seeds)


def _system(measured: Mapping[str, Any], ask: Ask, count: int, steps: int, seeds: int) -> Plan:
    costs = _costs(measured)
    return Plan(
        settings=measured["settings"][:count],
        steps=steps,
        seeds=seeds,
        fixed=dict(measured["fixed"]),
        rung_s=tuple(costs.of(max(1, steps // part), ask.evaluations) for part in RUNGS) if count > 1 else (),
        run_s=costs.of(steps, ask.evaluations),
    )


def _costs(measured: Mapping[str, Any]) -> Costs:
    return Costs(start=measured["start"], step=measured["step"], look=measured["look"])
