"""What a comparison measures of a detector: what it found, how long it takes, and whether its scores move."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from sequary.compare.detectors import Learned
from sequary.data.panel import Floats, Frequency, Panel
from sequary.tasks.detect.alarms import Bools, distance
from sequary.tasks.detect.judged import judge, steps_a_week

TIMED = 512
"""Rows whose scoring is timed."""


def losses(score: Floats, label: Bools, learned: Learned, frequency: Frequency) -> dict[str, float]:
    """Of one block. Infinite where nothing has a score; NaN where there is nothing to score, or no event to be missed."""
    found = judge(score, label, learned.threshold, distance(frequency.season))
    week = steps_a_week(frequency)
    often = found.false_alarms * (week or 1000) / max(found.steps, 1)
    return {
        "event_error": 1 - found.f1 if found.steps else math.inf if len(score) else math.nan,
        "order_error": 1 - found.auroc,
        "missed": 1 - found.found / found.events if found.events else math.nan,
        "alarms_week" if week else "alarms_1000": often,
        "delay": float(learned.delay),
    }


def latency(learned: Learned, panel: Panel) -> float:
    """Seconds in which the last rows of a series are scored; once, after once."""
    series = panel.series[0]
    first = max(0, len(series) - TIMED)
    part = dataclasses.replace(
        series,
        times=series.times[first:],
        values=series.values[first:],
        past=series.past[first:],
        future=series.future[first:],
    )
    one = dataclasses.replace(panel, series=(part,))
    learned.scores(one)
    began = perf_counter()
    learned.scores(one)
    return perf_counter() - began


def moved(old: Sequence[Floats], new: Sequence[Floats], stops: Sequence[int]) -> float:
    """The greatest move of a score before `stops`; infinite where one is there only once."""
    most = 0.0
    for a, b, stop in zip(old, new, stops, strict=True):
        if np.array_equal(a[:stop], b[:stop], equal_nan=True):
            continue
        only_once = np.isnan(a[:stop]) != np.isnan(b[:stop])
        most = max(most, math.inf if only_once.any() else float(np.nanmax(np.abs(a[:stop] - b[:stop]))))
    return most
