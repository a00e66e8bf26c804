"""The plan in words, before anything is trained."""

from __future__ import annotations

from typing import Any

from sequary.compare import durations
from sequary.compare.durations import plural
from sequary.compare.options import Options
from sequary.compare.plan import RUNGS, survivors, tried
from sequary.compare.prepare import Prepared
from sequary.compare.worker import described

OVERHEAD = 15
"""Seconds for reading, the leak probe and the report, roughly."""


def outline(ready: Prepared) -> list[str]:
    """Folds, candidates with their settings and size, and the time that all takes."""
    given = ready.options
    learners = [e for e in ready.entrants if e.kind != "floor"]
    roles = [f.role for f in ready.folds]
    lines = [
        f"folds: {plural(roles.count('choice'), 'choice origin')} ({ready.folds[0].origin} …), "
        f"{plural(roles.count('board'), 'board origin')} (… {ready.folds[-1].origin})",
        _budget(given, len(learners)),
    ]
    lines += [_line(ready, e) for e in ready.entrants]
    if given.steps is not None:
        return [*lines, "time: without limit"]
    total = given.budget + OVERHEAD
    return [*lines, f"time: about {durations.words(total)} in all, of which training {durations.words(given.budget)}"]


def _budget(given: Options, learners: int) -> str:
    if given.steps is not None:
        return f"budget: {given.steps} steps of each system's final runs, the largest rivals, on {plural(given.workers, 'core')}"
    each = durations.words(given.budget * given.workers / learners)
    return (
        f"budget: {durations.words(given.budget)} of wall time on {plural(given.workers, 'core')}; "
        f"{plural(learners, 'candidate')} that can learn: {each} of one core each, tuning included"
    )


def _line(ready: Prepared, entrant: Any) -> str:
    given = ready.options
    if entrant.kind == "floor":
        return f"  {entrant.id}: floor, costs nothing"
    if not entrant.trained:
        return f"  {entrant.id}: rival, {plural(given.seeds if entrant.seeded else 1, 'run')} {_size(given)}"
    settings = entrant.settings()
    try:
        size = ready.task.footprint(entrant, ready.ask.but(setting=settings[0]))
    except Exception as error:  # noqa: BLE001  # whatever stops it would be its row on the board
        return f"  {entrant.id}: cannot be built: {described(error)}"
    refused = given.limits.against(size.params, 0.0)
    if refused:
        return f"  {entrant.id}: {refused[0]}: {refused[1]}"
    settings = settings if given.steps is None else settings[: tried(len(settings), given.steps)]
    counts = " -> ".join(map(str, survivors(len(settings)))) if len(settings) > 1 else "1"
    parts = ", ".join(f"1/{part}" if part > 1 else "all" for part in RUNGS)
    return (
        f"  {entrant.id}: {size.params:,} parameters, {_memory(size.memory_mb)}; settings {counts} at {parts} of "
        f"{_steps(given)}, then {plural(given.seeds, 'seed')}; tries {_tried(settings)}"
    )


def _size(given: Options) -> str:
    return "sized to its share" if given.steps is None else "of its largest size"


def _steps(given: Options) -> str:
    return "the steps that a 20-step timing allows" if given.steps is None else f"{given.steps} steps"


def _tried(settings: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    values = {name: list(dict.fromkeys(s[name] for s in settings)) for name in names}
    return "; ".join(f"{name.rpartition('__')[2]} {', '.join(map(_short, each))}" for name, each in values.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _memory(mb: float) -> str:
    return f"about {mb:,.0f} MB" if mb >= 1 else "less than 1 MB"
