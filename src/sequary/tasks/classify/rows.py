"""Series of unequal length as batches: short ones padded behind with a mask, long ones averaged down to the context."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from sequary.core.values import Batch
from sequary.data.panel import Floats
from sequary.data.scaling import Pair, moments, scaled
from sequary.tasks.classify.labelled import Labelled


def scale(data: Labelled) -> Pair:
    """Mean and deviation [C] of each channel over all series: how they differ in level may be what tells classes apart."""
    return moments(np.concatenate(data.values))


def binned(values_TC: Floats, steps: int) -> Floats:
    """[steps, C] means of equal parts of the series, which share a step where `steps` does not divide T; NaN where none is known."""
    length, at = len(values_TC), np.arange(steps)
    first, stop = at * length // steps, -(-(at + 1) * length // steps)
    known = np.isfinite(values_TC)
    zero = np.zeros((1, values_TC.shape[1]))
    total, count = (np.concatenate([zero, np.cumsum(x, axis=0)]) for x in (np.where(known, values_TC, 0.0), known))
    found = count[stop] - count[first]
    return np.where(found > 0, (total[stop] - total[first]) / np.maximum(found, 1), np.nan)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A `Source`: values [B, context, C], 0 where missing or padded; the class as target."""

    values: Tensor
    observed: Tensor | None
    """None where nothing is missing and nothing padded: then models are spared the masks."""
    target: Tensor

    @classmethod
    def of(cls, data: Labelled, pair: Pair, context: int) -> Rows:
        values = np.zeros((len(data), context, len(data.form.channels)), np.float32)
        observed = np.zeros(values.shape, np.bool_)
        for i, series in enumerate(data.values):
            fitting = scaled(series if len(series) <= context else binned(series, context), pair)
            known = np.isfinite(fitting)
            values[i, : len(fitting)] = np.where(known, fitting, 0.0)
            observed[i, : len(fitting)] = known
        seen = None if observed.all() else torch.from_numpy(observed)
        return cls(torch.from_numpy(values), seen, torch.from_numpy(data.labels))

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, rows: Tensor) -> Batch:
        return Batch(
            values=self.values[rows],
            observed=None if self.observed is None else self.observed[rows],
            target=self.target[rows],
        )
