"""Where a comparison of detectors stands: one origin to choose settings after, one whose rest is the board."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from sequary.compare.detectors import LEAST
from sequary.compare.folds import Origin, words
from sequary.data.errors import DataError
from sequary.data.panel import Panel
from sequary.tasks.detect.alarms import Bools, intervals

BOARD = 0.6
"""Share of the history before the board."""
CHOICE = (0.4, 0.2)
"""The same of the choice: the first of these after which, and before the board, something is labelled."""


@dataclasses.dataclass(frozen=True, slots=True)
class Laid:
    panel: Panel
    labels: tuple[Bools, ...]
    origins: tuple[Origin, Origin]
    notes: tuple[str, ...]


def lay(panel: Panel, labels: Sequence[Bools], source: str) -> Laid:
    """The two origins, moments of the longest series; series that begin too late are left out, and named.

    Raises:
        DataError: nothing is labelled after the second.
    """
    longest = max(panel.series, key=len)
    board = _origin(panel, longest.times[int(BOARD * len(longest)) - 1], "board")
    choices = [_origin(panel, longest.times[max(1, int(share * len(longest))) - 1], "choice") for share in CHOICE]
    marked = [_events(labels, o.rows, board.rows) for o in choices]
    choice = next((o for o, n in zip(choices, marked, strict=True) if n), choices[0])
    kept = [i for i, rows in enumerate(choice.rows) if rows >= LEAST]
    if not kept:
        what = f"the longest series has {len(longest)} steps, of which {max(choice.rows)} would be learnt from"
        raise DataError(what, file=source, mend=f"give at least {int(LEAST / CHOICE[0])} steps")
    notes = [
        f"series {s.id!r} has {rows} steps before {choice.time}, {LEAST} are needed: left out"
        for s, rows in zip(panel.series, choice.rows, strict=True)
        if rows < LEAST
    ]
    panel = dataclasses.replace(panel, series=tuple(panel.series[i] for i in kept))
    labels = tuple(labels[i] for i in kept)
    first, second = (dataclasses.replace(o, rows=tuple(o.rows[i] for i in kept)) for o in (choice, board))
    counts = _events(labels, first.rows, second.rows), _events(labels, second.rows, [len(s) for s in panel.series])
    if not counts[1]:
        mend = f"label anomalies after {second.time}, or give more rows"
        raise DataError(
            "no row of the last 40 % is labelled 1, so there is nothing to judge by", file=source, mend=mend
        )
    notes.append(
        f"backtest: settings are chosen by {counts[0]} events from {first.time} to {second.time}, the board is made of "
        f"{counts[1]} events after that; trained on what lies before each, without labels"
    )
    if not counts[0]:
        notes.append("no event to choose settings by: they are chosen by false alarms alone")
    return Laid(panel, labels, (first, second), tuple(notes))


def _origin(panel: Panel, moment: Any, role: Any) -> Origin:
    rows = tuple(int(np.searchsorted(s.times, moment, side="right")) for s in panel.series)
    return Origin(words(moment), role, rows)


def _events(labels: Sequence[Bools], starts: Sequence[int], stops: Sequence[int]) -> int:
    return sum(len(intervals(l_T[a:b], 2)) for l_T, a, b in zip(labels, starts, stops, strict=True))
