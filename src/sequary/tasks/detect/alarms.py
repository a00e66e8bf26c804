"""From scores to alarms: what counts as one alarm, and the threshold above which there is one.

An alarm is a peak: the highest score among its neighbours less than `apart` steps away. Peaks are found greedily, highest
first, so that raising a threshold never adds one, and an alarm that goes on counts again every `apart` steps.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RATE = 1.0
"""Alarms per 1000 steps that normal data may cause."""
MOST = 1000
"""Peaks that a threshold remembers, unless `RATE` asks for more."""


def distance(season: int) -> int:
    """Steps within which alarms are one: a quarter of a season, 8 at least."""
    return max(8, season // 4)


def peaks(score_T: Floats, apart: int) -> Ints:
    """Places of the peaks, highest first; of equal scores the earliest. Missing scores are none."""
    free = np.isfinite(score_T)
    found: list[int] = []
    for t in np.argsort(-score_T, kind="stable"):
        if free[t]:
            found.append(int(t))
            free[max(0, t - apart + 1) : t + apart] = False
    return np.array(found, np.int64)


def alarms(score_T: Floats, threshold: float, apart: int) -> Ints:
    """Places of the peaks above a threshold."""
    return peaks(np.where(score_T > threshold, score_T, np.nan), apart)


@dataclasses.dataclass(frozen=True, slots=True)
class Threshold:
    """What the scores of held-out normal data say about false alarms."""

    heights: Floats
    """Of the peaks, descending: the highest `MOST`, or as many as `RATE` asks for."""
    steps: int
    """Scored steps that they come from."""
    apart: int

    @classmethod
    def fit(cls, scores: list[Floats], apart: int) -> Threshold:
        """From the scores of each series' held-out part.

        Raises:
            ValueError: no step has a score.
        """
        steps = int(sum(np.isfinite(s).sum() for s in scores))
        if not steps:
            raise ValueError(
                f"none of {sum(map(len, scores))} steps has a score to set a threshold by: the detector looks back further"
                " than the series go; give longer series, or another detector"
            )
        heights = np.concatenate([s[peaks(s, apart)] for s in scores])
        return cls(-np.sort(-heights)[: max(MOST, int(RATE * steps / 1000) + 1)], steps, apart)

    def at(self, rate: float = RATE) -> float:
        """The least threshold with at most `rate` alarms per 1000 of these steps; an alarm is above it.

        Where that is less than one alarm, it is the highest score. Where peaks are so far apart that not even all of them
        are more than `RATE`, it is just below the lowest.

        Raises:
            ValueError: more alarms than `RATE` are asked for, and more than there are peaks.
        """
        allowed = int(rate * self.steps / 1000) if rate >= 0 else -1
        if allowed >= len(self.heights) and rate <= RATE:
            return float(np.nextafter(self.heights[-1], -np.inf))
        if not 0 <= allowed < len(self.heights):
            most = max(RATE, 1000 * (len(self.heights) - 1) / self.steps)
            raise ValueError(
                f"alarms={rate:g} per 1000 steps: the {self.steps} held-out steps tell of 0 to {most:.3g}; give one of these"
            )
        return float(self.heights[allowed])


def intervals(alarm_T: Bools, apart: int) -> list[tuple[int, int]]:
    """First and last step of each event: steps above the threshold, those less than `apart` steps from each other joined."""
    at = np.flatnonzero(alarm_T)
    if not len(at):
        return []
    cut = np.flatnonzero(np.diff(at) >= apart)
    return list(zip(at[np.append(0, cut + 1)].tolist(), at[np.append(cut, len(at) - 1)].tolist(), strict=True))
