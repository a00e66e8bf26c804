"""The plan in words, before anything is trained."""

from __future__ import annotations

from typing import Any

from sequary.compare import durations
from sequary.compare.measure import Limits
from sequary.compare.plan import RUNGS, survivors
from sequary.compare.prepare import Prepared

OVERHEAD = 15
"""Seconds for reading, the leak probe and the report, roughly."""


def outline(ready: Prepared) -> list[str]:
    """Folds, candidates with their settings and size, and the time that all takes."""
    given = ready.options
    learners = [e for e in ready.entrants if e.kind != "floor"]
    each = given.budget * given.workers / len(learners)
    roles = [f.role for f in ready.folds]
    lines = [
        f"folds: {roles.count('choice')} choice origins ({ready.folds[0].origin} …), "
        f"{roles.count('board')} board origins (… {ready.folds[-1].origin})",
        f"budget: {durations.words(given.budget)} of wall time on {given.workers} cores; {len(learners)} candidates that "
        f"learn get {durations.words(each)} of one core each, tuning included",
    ]
    lines += [_line(ready, e, given.limits) for e in ready.entrants]
    total = given.budget + OVERHEAD
    return [*lines, f"time: about {durations.words(total)} in all, of which training {durations.words(given.budget)}"]


def _line(ready: Prepared, entrant: Any, limits: Limits) -> str:
    if entrant.kind == "floor":
        return f"  {entrant.id}: floor, costs nothing"
    if not entrant.trained:
        return f"  {entrant.id}: rival, {ready.options.seeds if entrant.seeded else 1} runs sized to its share"
    settings = entrant.settings()
    size = ready.task.footprint(entrant, ready.ask.but(setting=settings[0]))
    refused = limits.against(size.params, 0.0)
    if refused:
        return f"  {entrant.id}: {refused[0]}: {refused[1]}"
    tried = " -> ".join(map(str, survivors(len(settings)))) if len(settings) > 1 else "1"
    parts = ", ".join(f"1/{part}" if part > 1 else "all" for part in RUNGS)
    return (
        f"  {entrant.id}: {size.params:,} parameters, about {size.memory_mb:,.0f} MB; settings {tried} at {parts} of the "
        f"steps that a 20-step timing allows, then {ready.options.seeds} seeds; tries {_tried(settings)}"
    )


def _tried(settings: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    values = {name: list(dict.fromkeys(s[name] for s in settings)) for name in names}
    return "; ".join(f"{name.rpartition('__')[2]} {', '.join(map(str, each))}" for name, each in values.items())
