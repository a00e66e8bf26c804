"""Series with classes: what a classifier learns from."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Floats, Frequency

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
UNKNOWN = -1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the series were read, and so how those to classify are."""

    kind: Literal["table", "recordings"]
    channels: tuple[str, ...]
    time: str = ""
    id: str = "recording"
    frequency: Frequency = Frequency("1i", 1)
    rate: int = 0
    """Of recordings, in Hz."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """N series."""

    ids: tuple[str, ...]
    values: tuple[Floats, ...]
    """[T, C] of each; NaN where missing."""
    labels: Ints
    """[N] index of `classes`, or `UNKNOWN`."""
    classes: tuple[str, ...]
    groups: tuple[str, ...] = ()
    """Of each series (its speaker): series of one group are alike beyond their class. Empty where unknown."""
    form: Form

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Bools) -> Labelled:
        at = np.flatnonzero(rows)
        return dataclasses.replace(
            self,
            ids=tuple(self.ids[i] for i in at),
            values=tuple(self.values[i] for i in at),
            labels=self.labels[at],
            groups=tuple(self.groups[i] for i in at) if self.groups else (),
        )

    def bare(self) -> Labelled:
        """What a classifier may see of series that it is to tell."""
        return dataclasses.replace(self, labels=np.full(len(self), UNKNOWN, np.int64), classes=(), groups=())

    @property
    def lengths(self) -> Ints:
        return np.array([len(v) for v in self.values], np.int64)
