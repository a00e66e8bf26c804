"""Results of runs as the board's candidates: means and spreads over units, origins and seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequary.compare.board import Candidate, Status
from sequary.compare.course import Course
from sequary.compare.scoring import mean

Floats = NDArray[np.float64]


def losses(done: Mapping[str, Mapping[str, Any]], metric: str) -> Floats | None:
    """[U, O] of a metric, mean over seeds; None where no seed ended well."""
    seeds = _seeds(done)
    rows = [np.array(r["losses"][metric], float) for r in seeds if metric in r["losses"]]
    return np.mean(rows, axis=0) if rows else None


def candidate(
    entrant: Any, course: Course, done: Mapping[str, Mapping[str, Any]], metric: str, units: Sequence[str]
) -> Candidate:
    """Of everything that an entrant ran."""
    status, error = _status(course, done, metric)
    rungs, _, won = course.rungs(done)
    fixed = {} if entrant.trained else course.plan.fixed
    setting = {**course.plan.settings[won], **fixed} if won is not None and won >= 0 else {}
    seeds = _seeds(done) if status == "ok" else []
    measured = done.get("measure", {})
    return Candidate(
        id=entrant.id,
        title=entrant.title,
        kind=entrant.kind,
        status=status,
        error=error,
        metrics=_metrics(seeds),
        spread=_spread(seeds),
        **_parts(seeds, metric, units),
        params=seeds[0]["params"] if seeds else measured.get("params", 0),
        train_s=_median(seeds, "train_s"),
        latency_ms=_median(seeds, "latency_ms") if seeds else measured.get("latency_ms", 0.0),
        memory_mb=max((r["memory_mb"] for name, r in done.items() if name.startswith(("seed", "rung"))), default=0.0),
        setting=setting,
        rungs=rungs,
        curve=[(int(a), b, c) for a, b, c in seeds[0]["curve"]] if seeds else [],
    )


def _status(course: Course, done: Mapping[str, Mapping[str, Any]], metric: str) -> tuple[Status, str | None]:
    if course.plan.refused:
        return course.plan.refused  # pyright: ignore[reportReturnType]  # written by `measure` and `plan`
    if course.rungs(done)[2] == -1:
        first = next(r["error"] for r in done.values() if "error" in r)
        return "crashed", f"no setting could be scored: {first}"
    broken = next((r["error"] for name, r in sorted(done.items()) if name.startswith("seed") and "error" in r), None)
    if broken is not None:
        return "crashed", broken
    if "error" in done.get("probe", {}):
        return "crashed", f"its leak probe failed: {done['probe']['error']}"
    found = losses(done, metric)
    if found is None or math.isnan(mean(found)):
        return "crashed", f"it has no {metric}"
    return "ok", None


def _seeds(done: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [r for name, r in sorted(done.items()) if name.startswith("seed") and "error" not in r]


def _arrays(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    """Metric -> [seeds, U, O]."""
    names = seeds[0]["losses"] if seeds else ()
    return {name: np.array([r["losses"][name] for r in seeds], float) for name in names}


def _metrics(seeds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {name: mean(values) for name, values in _arrays(seeds).items() if not math.isnan(mean(values))}


def _spread(seeds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, values in _arrays(seeds).items():
        by_seed = [mean(v) for v in values]
        by_origin = [m for m in (mean(values[:, :, o]) for o in range(values.shape[2])) if not math.isnan(m)]
        over = {"seeds": by_seed, "folds": by_origin}
        found[name] = {k: statistics.stdev(v) for k, v in over.items() if len(v) > 1}
    return found


def _parts(seeds: Sequence[Mapping[str, Any]], metric: str, units: Sequence[str]) -> dict[str, Any]:
    if not seeds:
        return {}
    values = _arrays(seeds)[metric]
    by_unit = {unit: mean(values[:, u]) for u, unit in enumerate(units)}
    return {
        "by_series": {unit: value for unit, value in by_unit.items() if not math.isnan(value)},
        "by_fold": [mean(values[:, :, o]) for o in range(values.shape[2])],
    }


def _median(seeds: Sequence[Mapping[str, Any]], key: str) -> float:
    return float(statistics.median(r[key] for r in seeds)) if seeds else 0.0
