"""Data on one scale: each channel of each series, and each covariate, less its mean and over its deviation.

Part of a fitted forecaster: the statistics come from the training part alone. A series that was not there, or a channel
that never changed there, is scaled by the history that it brings to the forecast.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Floats, Panel, Series

Pair = tuple[Floats, Floats]


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """One kind of covariates: numbers become (x − shift) / size, missing ones 0, their mean; categories stay codes."""

    shift: Floats
    size: Floats
    missing: Floats
    """What stands for a missing value: 0 for numbers, for categories the code after the last, as for unseen ones."""

    @classmethod
    def fit(cls, rows_NK: Floats, names: tuple[str, ...], categories: Mapping[str, tuple[str, ...]]) -> Columns:
        shift, size = moments(rows_NK)
        coded = np.array([name in categories for name in names], bool)
        missing = np.array([len(categories.get(name, ())) for name in names], float)
        return cls(np.where(coded, 0.0, shift), np.where(coded | (size == 0), 1.0, size), missing)

    def __call__(self, x_NK: Floats) -> Floats:
        scaled = (x_NK - self.shift) / self.size
        return np.where(np.isfinite(scaled), scaled, self.missing)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    values: Mapping[str, Pair]
    """Series -> shift [C], size [C]; a size of 0 says that the channel did not change, or was never observed."""
    past: Columns
    future: Columns
    static: Columns

    @classmethod
    def fit(cls, panel: Panel) -> Scaler:
        """From all that `panel` holds but the future covariates of times after its series' ends."""

        def stacked(rows: list[Floats]) -> Floats:
            return np.concatenate(rows)

        return cls(
            values={s.id: moments(s.values) for s in panel.series},
            past=Columns.fit(stacked([s.past for s in panel.series]), panel.past, panel.categories),
            future=Columns.fit(stacked([s.future[: len(s)] for s in panel.series]), panel.future, panel.categories),
            static=Columns.fit(np.stack([s.static for s in panel.series]), panel.static, panel.categories),
        )

    def of(self, series: Series) -> Pair:
        """Shift and size [C] of a series. Size 0: constant there and here, so that its forecast is `shift` itself."""
        own_shift, own_size = moments(series.values)
        shift, size = self.values.get(series.id, (own_shift, own_size))
        return np.where(size > 0, shift, own_shift), np.where(size > 0, size, own_size)


def scaled(values_TC: Floats, pair: Pair) -> Floats:
    shift, size = pair
    return (values_TC - shift) / np.where(size > 0, size, 1.0)


def moments(x_NK: Floats) -> Pair:
    """Mean and deviation of each column over its finite entries; deviation 0 where they are equal but for rounding."""
    known: NDArray[np.bool_] = np.isfinite(x_NK)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, x_NK, 0.0).sum(axis=0) / count
    size = np.sqrt(np.where(known, (x_NK - mean) ** 2, 0.0).sum(axis=0) / count)
    return mean, np.where(size > 1e-12 * np.abs(mean), size, 0.0)
