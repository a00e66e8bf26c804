"""The floor of language modelling: an n-gram."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class NGram:
    """The floor for text: bytes predicted from the `order` - 1 bytes before them, by interpolated Kneser-Ney smoothing.

    p_k(x | c) = max(n(cx) - D, 0) / n(c) + D u(c) / n(c) * p_{k-1}(x | shorter c), with u(c) the distinct bytes seen
    after c and p_{-1} = 1/256; p_{k-1} where c is new. n counts occurrences at the highest order and distinct
    preceding bytes below it (Kneser & Ney 1995; interpolated as in Chen & Goodman 1999). D = (n_1 + 1) / (n_1 + 2 n_2
    + 2), n_i the grams counted i times: their estimate, kept inside (0, 1). Counts come from `known` only and do not
    grow while reading.
    """

    order: int = 6

    def bits(self, known: bytes, unseen: bytes) -> Floats:
        """[N] bits that each byte of `unseen` costs, read after `known`; their mean is bits per byte."""
        if not 1 <= self.order <= 8:
            raise ValueError(f"order={self.order} is not between 1 and 8, the bytes of a 64-bit key")
        if not unseen:
            raise ValueError("unseen is empty; give at least one byte to predict")
        level_grams = _grams(known, self.order)[self.order - 1 :]
        text = b"\0" * self.order + known[-self.order :] + unseen
        query_N = _grams(text, self.order)[-len(unseen) :]
        counted: list[tuple[NDArray[np.uint64], Ints]] = []
        for length in range(self.order, 0, -1):
            grams, count = np.unique(level_grams, return_counts=True)
            counted.append((grams, count))
            level_grams = grams & np.uint64(2 ** (8 * (length - 1)) - 1)  # one for each distinct preceding byte
        p_N = np.full(len(unseen), 1 / 256)
        for length, (grams, count) in enumerate(reversed(counted), start=1):
            p_N = _interpolate(query_N & np.uint64(2 ** (8 * length) - 1), grams, count, p_N)
        return -np.log2(p_N)


def _grams(text: bytes, order: int) -> NDArray[np.uint64]:
    """[N] the `order` bytes that end at each byte, the last one lowest."""
    byte_N = np.frombuffer(text, np.uint8).astype(np.uint64)
    key_N = byte_N.copy()
    for back in range(1, order):
        key_N[back:] |= byte_N[: len(byte_N) - back] << np.uint64(8 * back)
    return key_N


def _interpolate(query_N: NDArray[np.uint64], grams: NDArray[np.uint64], count: Ints, lower_N: Floats) -> Floats:
    """p_k of each query gram from the counts of its length and p_{k-1}."""
    if not len(grams):
        return lower_N
    ones, twos = int((count == 1).sum()), int((count == 2).sum())
    discount = (ones + 1) / (ones + 2 * twos + 2)
    contexts, start = np.unique(grams >> np.uint64(8), return_index=True)
    total, distinct = np.add.reduceat(count, start), np.diff(np.append(start, len(grams)))
    at_N = np.minimum(np.searchsorted(grams, query_N), len(grams) - 1)
    seen_N = np.where(grams[at_N] == query_N, count[at_N] - discount, 0.0)
    c_N = np.minimum(np.searchsorted(contexts, query_N >> np.uint64(8)), len(contexts) - 1)
    p_N = (seen_N + discount * distinct[c_N] * lower_N) / total[c_N]
    return np.where(contexts[c_N] == query_N >> np.uint64(8), p_N, lower_N)
