"""From paired trials to a verdict."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

from scipy import stats

from sequary.core.card import Claim

Verdict = Literal["holds", "does not hold at this scale", "inconclusive"]


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """One seed: the metric of the system, of its baseline, and of the task's floor, which knows nothing."""

    seed: int
    system: float
    baseline: float
    floor: float | None = None
    """None where the baseline itself knows nothing, or where an exact property has no floor."""
    broken: str = ""
    """What broke the exact part of the claim (an equality, a gradient that must be zero …); empty where it held."""
    also: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])
    """Further numbers for the record; the verdict does not depend on them."""


def gains(claim: Claim, trials: Sequence[Trial]) -> list[float]:
    """How much better the system is than the baseline, seed by seed; above zero is the claim's side."""
    sign = 1.0 if claim.better == "lower" else -1.0
    return [sign * (t.baseline - t.system) for t in trials]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of paired differences (Student's t)."""
    mean, spread = statistics.mean(values), statistics.stdev(values)
    half = float(stats.t.ppf(0.975, len(values) - 1)) * spread / math.sqrt(len(values))
    return mean - half, mean + half


def judge(claim: Claim, trials: Sequence[Trial]) -> tuple[Verdict, dict[str, float]]:
    """*holds*: the interval lies beyond the claim's margin and both arms beat the floor; *does not hold*: all of it falls short of the
    margin, as no difference does and a worse system; *inconclusive*: the margin lies within it. Three seeds at least.

    An exact part must hold for every seed: one counterexample, and the claim does not hold.
    """
    if len(trials) < 3:
        raise ValueError(f"{len(trials)} seeds are too few for a verdict; run three or more")
    low, high = interval(gains(claim, trials))
    numbers = means(trials) | {"gain": statistics.mean(gains(claim, trials)), "low": low, "high": high}
    broken = sum(bool(t.broken) for t in trials)
    if broken:
        return "does not hold at this scale", numbers | {"broken": float(broken)}
    sign = 1.0 if claim.better == "lower" else -1.0
    learnt = all(sign * (t.floor - v) > 0 for t in trials if t.floor is not None for v in (t.system, t.baseline))
    if low > claim.margin and learnt:
        return "holds", numbers
    if high <= claim.margin:
        return "does not hold at this scale", numbers
    return "inconclusive", numbers


def means(trials: Sequence[Trial]) -> dict[str, float]:
    """Over the seeds, of the metric in both arms, of the floor where there is one, and of what was noted beside."""
    rows = [{"system": t.system, "baseline": t.baseline, **t.also} for t in trials]
    rows = [row if t.floor is None else row | {"floor": t.floor} for row, t in zip(rows, trials, strict=True)]
    return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
