"""Small tables with faults, and settings with which a detector trains in a second."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

SMALL: dict[str, Any] = {
    "dim": 16,
    "model__backbone__depth": 1,
    "model__backbone__blocks__0__parts__0__heads": 2,
    "model__head__hidden": 16,
}
START = dt.datetime(2024, 1, 1)
FAULTS = ((250, 258), (330, 338), (420, 428))


def waves(steps: int = 480, seed: int = 0) -> pl.DataFrame:
    """Hourly, two channels that follow a day, and `fault`: 1 in three short spans in which the first one jumps about."""
    rng = np.random.default_rng(seed)
    turn = 2 * np.pi * np.arange(steps) / 24
    a, b = np.sin(turn) + 0.05 * rng.normal(size=steps), np.cos(turn) + 0.05 * rng.normal(size=steps)
    fault = np.zeros(steps, int)
    for first, last in FAULTS:
        fault[first:last] = 1
    a = a + 3 * fault * np.where(np.arange(steps) % 2, 1, -1)
    times = [START + dt.timedelta(hours=i) for i in range(steps)]
    return pl.DataFrame({"time": times, "a": a, "b": b, "fault": fault})
