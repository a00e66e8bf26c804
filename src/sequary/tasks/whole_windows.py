"""Windows of which every step counts, for tasks that look at what is there (imputers, detectors) and at nothing ahead."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Panel
from sequary.data.windows import Bank, Ints, Windows

JUDGED = 512
"""Validation windows at most."""


def targets(panel: Panel) -> Panel:
    """Without covariates."""
    series = tuple(
        dataclasses.replace(s, past=s.past[:, :0], future=s.future[:0, :0], static=s.static[:0]) for s in panel.series
    )
    return dataclasses.replace(panel, series=series, past=(), future=(), static=(), categories={})


def split(bank: Bank, ends: Ints, judged: NDArray[np.bool_], context: int) -> tuple[Windows, Windows | None]:
    """Windows that end before `ends`, or the one that holds all of a shorter series; and later ones to judge by."""
    source = between(bank, context, np.zeros_like(ends), np.maximum(ends - context, 0), 1)
    if not len(source):
        raise ValueError("no window has two known cells; give rows with fewer gaps, or a larger --context")
    opens, last = np.where(judged, ends, 1), np.where(judged, bank.lengths - context, 0)
    stride = max(1, -(-int((last - opens + 1).sum()) // JUDGED))
    validation = between(bank, context, opens, last, stride)
    return source, validation if len(validation) else None


def between(bank: Bank, context: int, first: Ints, last: Ints, stride: int) -> Windows:
    """Those that begin at `first`, `first` + stride, … up to `last`, of each series, and know two cells at least."""
    count = np.maximum((last - first) // stride + 1, 0)
    series = np.repeat(np.arange(len(first)), count)
    start = first[series] + (np.arange(len(series)) - np.repeat(np.cumsum(count) - count, count)) * stride
    known = np.concatenate([[0], np.cumsum(bank.observed.sum(1).numpy())])
    at = bank.starts[series] + start
    use = known[at + context] - known[at] > 1
    return Windows(bank, context=context, horizon=0, series=series[use], origins=start[use] + context)
