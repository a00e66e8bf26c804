"""From what was measured to a plan for each candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.entrants import OutOfTime
from sequary.compare.plan import LEAST, RUNGS, Costs, Plan, halving
from sequary.compare.task import Task


def plans(
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


def _plans(
    task: Task,
    entrants: Sequence[Any],
    measured: Mapping[str, Mapping[str, Any]],
    ask: Ask,
    seconds: float,
    workers: int,
    seeds: int,
) -> tuple[dict[str, Plan], float]:
    found = {e.id: Plan(settings=[{}], steps=None, seeds=1) for e in entrants if e.kind == "floor"}
    found |= {name: plan for name, each in measured.items() if (plan := _refused(each)) is not None}
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
    return found | {e.id: _system(e, measured[e.id], ask, level, seeds) for e in systems}, level


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


def _system(entrant: Any, measured: Mapping[str, Any], ask: Ask, level: float, seeds: int) -> Plan:
    costs = Costs(start=measured["start"], step=measured["step"], look=measured["look"])
    settings = entrant.settings()
    count, steps = halving(settings, costs, level, seeds, ask.evaluations)
    if steps < LEAST:
        why = f"its share of the budget, {level:.1f} s of one core, allows {max(0, steps)} steps a run; raise --budget"
        return Plan(settings=[{}], steps=None, seeds=0, refused=("out of time", why))
    return Plan(
        settings=settings[:count],
        steps=steps,
        seeds=seeds,
        fixed=dict(measured["fixed"]),
        rung_s=tuple(costs.of(max(1, steps // part), ask.evaluations) for part in RUNGS) if count > 1 else (),
        run_s=costs.of(steps, ask.evaluations),
    )
