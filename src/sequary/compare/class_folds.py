"""Which labelled series are held out together, and what the leak probe makes of those that may not be seen."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from sequary.tasks.classify.labelled import Bools, Ints, Labelled

FOLDS = 6
"""Of each role, at most: fewer where there are fewer groups."""
GROUPS = 4
"""From so many groups on, none is divided."""


def other(data: Labelled, learnt: Bools, *, seed: int) -> Labelled:
    """Every series that is not learnt from turned over, noisy, shorter, of another class; a tenth of its values goes missing."""
    rng, values = np.random.default_rng(seed), list(data.values)
    for i in np.flatnonzero(~learnt):
        x = values[i]
        x = x[: max(1, len(x) * 2 // 3)] if i % 2 else x
        size = np.nanmean(np.abs(x)) + 1.0 if np.isfinite(x).any() else 1.0
        values[i] = size * (3.0 + rng.normal(size=x.shape)) - 1.7 * x
        values[i][rng.random(x.shape) < 0.1] = np.nan
    labels = np.where(learnt, data.labels, (data.labels + 1) % len(data.classes))
    return dataclasses.replace(data, values=tuple(values), labels=labels)


def lay(data: Labelled) -> tuple[Ints, str]:
    """The fold of each series, and the rule in words."""
    groups = sorted(set(data.groups))
    if len(groups) >= GROUPS:
        return _by_group(data, groups)
    order, rng = list[int](), np.random.default_rng(0)
    for label in range(len(data.classes)):
        order += rng.permutation(np.flatnonzero(data.labels == label)).tolist()
    folds = np.empty(len(data), np.int64)
    for place, i in enumerate(order):  # in turn: one to choose by, two for the board
        turn, part = divmod(place, 3)
        folds[i] = turn % FOLDS if part == 0 else FOLDS + (2 * turn + part - 1) % FOLDS
    few = f"; {len(groups)} groups are too few to leave one out" if len(groups) > 1 else ""
    return folds, f"{_rule(FOLDS)}, each with its share of every class{few}"


def _by_group(data: Labelled, groups: list[str]) -> tuple[Ints, str]:
    count = min(FOLDS, len(groups) // 2)
    chosen = max(count, len(groups) // 3)
    order = [groups[i] for i in np.random.default_rng(0).permutation(len(groups))]
    fold = {name: i % count if i < chosen else count + (i - chosen) % count for i, name in enumerate(order)}
    shown = f" ({', '.join(order[:chosen])} choose)" if len(groups) <= 2 * FOLDS else ""
    rule = f"{_rule(count)}, each of whole groups, {len(groups)} in all{shown}: nobody is told who was learnt from"
    return np.array([fold[name] for name in data.groups], np.int64), rule


def _rule(count: int) -> str:
    return f"{count} folds choose settings, learnt from the other choice folds; {count} make the board, learnt from all others"


def copies(data: Labelled) -> list[str]:
    """A warning where series are equal, value for value: the same one may be learnt from and told."""
    found = [hashlib.sha256(np.ascontiguousarray(v).tobytes()).digest() for v in data.values]
    again = len(found) - len(set(found))
    return (
        [f"{again:,} series equal another one, value for value: who learnt from one tells the other"] if again else []
    )
