"""From paired trials to a verdict."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
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
    floor: float


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
    """*holds*: the interval lies on the claim's side and both arms beat the floor; *does not hold*: it lies on the other side,
    or within the claim's margin of zero; *inconclusive*: anything else. Three seeds at least."""
    if len(trials) < 3:
        raise ValueError(f"{len(trials)} seeds are too few for a verdict; run three or more")
    low, high = interval(gains(claim, trials))
    numbers = {n: statistics.mean(getattr(t, n) for t in trials) for n in ("system", "baseline", "floor")}
    numbers |= {"gain": statistics.mean(gains(claim, trials)), "low": low, "high": high}
    sign = 1.0 if claim.better == "lower" else -1.0
    learnt = all(sign * (t.floor - v) > 0 for t in trials for v in (t.system, t.baseline))
    if low > claim.margin and learnt:
        return "holds", numbers
    if high < 0 or (-claim.margin <= low and high <= claim.margin):
        return "does not hold at this scale", numbers
    return "inconclusive", numbers
