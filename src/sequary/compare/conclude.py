"""From all results to the board."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from sequary.compare import statistics, words
from sequary.compare.board import Board, Candidate, Leak, Plot
from sequary.compare.collect import candidate, losses
from sequary.compare.course import Course
from sequary.compare.prepare import Prepared
from sequary.compare.verdict import verdict

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Candidate -> run -> what it found."""


def board_of(ready: Prepared, courses: Mapping[str, Course], results: Results, manifest: dict[str, Any]) -> Board:
    found = [_candidate(ready, courses, results, e) for e in ready.entrants]
    ranked = _ranked(ready, found)
    scores = {c.id: losses(results[c.id], ready.metric) for c in ranked}
    ties = statistics.separate({name: loss for name, loss in scores.items() if loss is not None}, moments=ready.moments)
    return Board(
        data=ready.data,
        task=ready.name,
        metric=ready.metric,
        folds=ready.folds,
        candidates=[*ranked, *(c for c in found if c not in ranked)],
        floors=[e.id for e in ready.entrants if e.kind == "floor"],
        leak=_leak(ready, results),
        ties=ties,
        verdict=verdict(ranked, ties, ready.metric, words.of(ready.name)),
        manifest={**manifest, "leaks": _leaks(results)},
        plots=_plots(ready, results, [c.id for c in ranked]),
    )


def winner(ready: Prepared, courses: Mapping[str, Course], results: Results) -> tuple[Any | None, bool]:
    """The system to be refitted (the best of the board's systems; None where none has a score), and whether it won."""
    ranked = _ranked(ready, [_candidate(ready, courses, results, e) for e in ready.entrants])
    best = next((c.id for c in ranked if c.kind == "system"), None)
    return next((e for e in ready.entrants if e.id == best), None), best is not None and ranked[0].id == best


def _ranked(ready: Prepared, found: list[Candidate]) -> list[Candidate]:
    scored = [c for c in found if math.isfinite(c.metrics.get(ready.metric, math.nan))]
    return sorted(scored, key=lambda c: c.metrics[ready.metric])


def _candidate(ready: Prepared, courses: Mapping[str, Course], results: Results, entrant: Any) -> Candidate:
    """As it ran; one whose answers moved with what it may not see has no errors that count."""
    made = candidate(entrant, courses[entrant.id], results[entrant.id], ready.metric, ready.units)
    if made.status != "ok":
        return made
    moved, said = _leaks(results).get(entrant.id, 0.0), words.of(ready.name)
    error = f"it sees what it may not: its {said.many} move by up to {moved:.3g} when {said.hidden} is changed"
    refused = ("leak", error) if moved else None
    if refused is None and made.kind != "floor":  # which always take part
        refused = ready.options.limits.against(made.params, made.latency_ms)
    if refused is None:
        return made
    return dataclasses.replace(
        made, status=refused[0], error=refused[1], metrics={}, spread={}, by_series={}, by_fold=[]
    )


def _leaks(results: Results) -> dict[str, float]:
    """Candidate -> the greatest shift that the probe found, where it is not zero."""
    shifts = {name: done["probe"].get("shifts", []) for name, done in results.items() if "probe" in done}
    return {name: max(each) for name, each in shifts.items() if any(each)}


def _leak(ready: Prepared, results: Results) -> Leak:
    shifts = [done["probe"]["shifts"] for done in results.values() if "shifts" in done.get("probe", {})]
    by_fold = [max(each) for each in zip(*shifts, strict=True)]
    return Leak(
        probed=sum(map(len, shifts)), max_shift=max(by_fold, default=0.0), by_fold=by_fold, suspects=ready.suspects
    )


def _plots(ready: Prepared, results: Results, ranked: list[str]) -> list[Plot]:
    if not ready.drawn:
        return []
    return ready.task.plots(ready.drawn, {name: results[name]["seed0"]["drawn"] for name in ranked}, ready.ask)
