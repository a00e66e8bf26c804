"""Gaps: how long those of a table are, how far into one a cell lies, and hiding known cells by gaps like them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Panel

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def lengths(panel: Panel) -> Ints:
    """[n] steps of every gap of every channel of every series; (1,) where nothing is missing."""
    found = [_runs(np.isnan(column)) for series in panel.series for column in series.values.T]
    all_N = np.concatenate(found)
    return all_N if len(all_N) else np.ones(1, np.int64)


def _runs(missing_T: Bools) -> Ints:
    edges = np.diff(np.concatenate([[0], missing_T.astype(np.int64), [0]]))
    return np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0)


def hidden(known_TC: Bools, rate: float, lengths_N: Ints, rng: np.random.Generator) -> Bools:
    """[T, C]: of each channel blocks of about `rate` of the steps, lengths drawn from `lengths_N`; True where known and hidden."""
    found = np.zeros_like(known_TC)
    for column in found.T:
        for start, stop in _blocks(len(column), rate, lengths_N, rng):
            column[start:stop] = True
    return found & known_TC


def _blocks(steps: int, rate: float, lengths_N: Ints, rng: np.random.Generator) -> list[tuple[int, int]]:
    """One block at least, anywhere, none over another; two may touch."""
    most = max(1, int(min(2 * rate, 1.0) * steps))
    drawn = np.minimum(rng.choice(lengths_N, max(1, round(rate * steps / lengths_N.mean()))), most)
    drawn = drawn[np.cumsum(drawn) <= max(most, drawn[0])]
    before = np.sort(rng.integers(0, steps - drawn.sum() + 1, len(drawn)))  # free steps in front of each
    stop = before + np.cumsum(drawn)
    return list(zip((stop - drawn).tolist(), stop.tolist(), strict=True))


def away(known_TC: Bools) -> Ints:
    """[T, C] steps to the nearest known cell of the channel: 0 where known, T where nothing is."""
    steps = len(known_TC)
    at = np.arange(steps)[:, None]
    before = np.maximum.accumulate(np.where(known_TC, at, -steps))
    after = np.minimum.accumulate(np.where(known_TC, at, 2 * steps)[::-1])[::-1]
    return np.minimum(np.minimum(at - before, after - at), steps)
