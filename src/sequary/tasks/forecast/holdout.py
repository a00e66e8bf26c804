"""Which windows of a panel are learnt from, and which later ones say when to stop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Panel
from sequary.data.windows import Bank, Ints, Windows

JUDGED = 2048
"""Validation windows at most: enough for a steady loss and for residuals, few enough to look often."""
NUMBERS = 2**24
"""Targets in them at most: with hundreds of channels there are fewer windows, 32 at least."""


def held_out(panel: Panel, horizon: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Where each series' training part ends [S], and whether it has a validation part: the last fifth, or a horizon."""
    length = np.array([len(s) for s in panel.series], np.int64)
    span = np.maximum(length // 5, horizon)
    judged = length - span >= 2 * horizon
    return np.where(judged, length - span, length), judged


def split(
    bank: Bank, ends: Ints, judged: NDArray[np.bool_], context: int, horizon: int
) -> tuple[Windows, Windows | None]:
    """Training windows, whose targets end before `ends`, and at most about `JUDGED` validation windows, which begin there.

    Training begins with the first full look-back, or in the middle of a series that is too short for that.
    """
    last = ends - horizon
    if (last < 1).all():
        most = int(bank.lengths.max())
        raise ValueError(
            f"horizon={horizon} leaves nothing to learn from: the longest series has {most} steps; shorten it"
        )
    first = np.minimum(context, np.maximum(last // 2, 1))
    source = Windows.between(bank, context=context, horizon=horizon, first=first, last=last)
    if not len(source):
        raise ValueError("no window has both a known value and a known target; give rows with fewer gaps")
    after = bank.lengths - horizon
    most = min(JUDGED, max(32, NUMBERS // (horizon * bank.values.shape[1])))
    few = judged & (np.cumsum(judged) % max(1, -(-int(judged.sum()) // most)) == 0)
    opens = np.where(few, ends, after + 1)
    stride = max(1, -(-int((after - opens + 1).sum()) // most))
    validation = Windows.between(bank, context=context, horizon=horizon, first=opens, last=after, stride=stride)
    return source, validation if len(validation) else None
