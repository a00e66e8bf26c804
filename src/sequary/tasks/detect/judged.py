"""Scores against labels: plain event recall and false alarms, without point adjustment; and the order of the scores.

An event is a run of labelled steps. It is found if any step in it is above the threshold. A false alarm is a peak above the
threshold that no labelled step is near (less than `apart` steps away); an alarm that goes on counts again every `apart` steps.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.stats import rankdata

from sequary.data.panel import Floats, Frequency
from sequary.data.seasons import DAY, UNITS
from sequary.tasks.detect.alarms import Bools, alarms, intervals


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    events: int
    found: int
    false_alarms: int
    steps: int
    """With a score."""
    auroc: float
    """Probability that a labelled step scores higher than another; NaN without one of the two."""

    @property
    def f1(self) -> float:
        """found / (found + (missed + false alarms) / 2); 1 where there was nothing to find and nothing was said."""
        wrong = self.events - self.found + self.false_alarms
        return self.found / (self.found + wrong / 2) if self.found + wrong else 1.0


def judge(score_T: Floats, label_T: Bools, threshold: float, apart: int) -> Judged:
    above_T = score_T > threshold
    spans = intervals(label_T, 2)
    around = slice(apart - 1, apart - 1 + len(label_T))  # mode "same" is as long as the kernel where that is longer
    near_T = np.convolve(label_T, np.ones(2 * apart - 1))[around] > 0.5 if label_T.any() else label_T
    return Judged(
        events=len(spans),
        found=sum(bool(above_T[first : last + 1].any()) for first, last in spans),
        false_alarms=len(alarms(np.where(near_T, np.nan, score_T), threshold, apart)),
        steps=int(np.isfinite(score_T).sum()),
        auroc=auroc(score_T, label_T),
    )


def auroc(score_T: Floats, label_T: Bools) -> float:
    """By ranks, ties as halves; steps without a score are left out."""
    known_T = np.isfinite(score_T)
    score_N, label_N = score_T[known_T], label_T[known_T]
    ones = int(label_N.sum())
    zeros = len(label_N) - ones
    if not ones or not zeros:
        return math.nan
    return float((rankdata(score_N)[label_N].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def steps_a_week(frequency: Frequency) -> float | None:
    """None where time is an integer or goes by months."""
    count = int("".join(c for c in frequency.every if c.isdigit()))
    kind, size = UNITS[frequency.every.removeprefix(str(count))]
    return 7 * DAY / (count * size) if kind == "microseconds" else None
