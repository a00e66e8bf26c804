"""Intervals of filled cells: how wrong the estimates of known cells were that had been hidden from the model.

Errors of hidden cells of the held-out part, over the deviation of their series, are kept apart by channel and by how far
the nearest known cell of the channel is (1, 2 to 3, 4 to 7, … 32 and more steps): the middle of a gap is harder than its
rim. The interval of share c is the estimate ± the k-th smallest size, k = ceil((n + 1) c), as in `forecast.conformal`; it
covers a missing cell with probability c if that is as hard as the hidden ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Floats
from sequary.tasks.forecast.calibration import thinned
from sequary.tasks.forecast.conformal import Conformal

BINS = 6
LEAST = 40
"""Errors of a channel and distance below which those of all channels at that distance are taken, then all there are."""
MOST = 99
"""Sizes kept of each group."""


@dataclasses.dataclass(frozen=True, slots=True)
class Intervals:
    groups: Conformal
    """A "step" for each channel and distance: channel · BINS + bin."""

    @classmethod
    def fit(cls, error_N: Floats, channel_N: NDArray[np.int64], away_N: NDArray[np.int64], channels: int) -> Intervals:
        """From scaled errors of hidden cells."""
        bin_N = distance_bin(away_N)
        groups: list[Floats] = []
        for c in range(channels):
            for b in range(BINS):
                pools = (bin_N == b) & (channel_N == c), bin_N == b, np.ones(len(error_N), bool)
                chosen = next((p for p in pools if p.sum() >= LEAST), pools[-1])
                groups.append(np.sort(np.abs(error_N[chosen])))
        return cls(thinned(Conformal(tuple(groups), tuple(len(g) for g in groups)), MOST))

    @property
    def known(self) -> bool:
        """False where nothing was held out."""
        return all(len(size) for size in self.groups.sizes)

    def half(self, away_TC: NDArray[np.int64], shares: Sequence[float]) -> dict[float, Floats]:
        """Share -> [T, C] half widths, in deviations of the channel."""
        place_TC = np.arange(away_TC.shape[1]) * BINS + distance_bin(away_TC)
        count = len(self.groups.sizes)
        ends = self.groups.quantiles(np.zeros((count, 1)), np.ones(1), [(1 + c) / 2 for c in shares])
        return {c: ends[(1 + c) / 2][:, 0][place_TC] for c in shares}


def distance_bin(away: NDArray[np.int64]) -> NDArray[np.int64]:
    """Powers of two: 1 -> 0, 2 to 3 -> 1, 4 to 7 -> 2, … 32 and more -> 5."""
    return np.minimum(np.log2(np.maximum(away, 1)).astype(np.int64), BINS - 1)
