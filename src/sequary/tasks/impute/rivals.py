"""Ordinary imputers that learn: scikit-learn's, on rows of one step each.

A row holds the channels, each channel one season before and one after (a step, where there is no season), and the place in
the season as a sine and a cosine. All are scaled by the known values of their series.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np

from sequary.data.panel import Floats, Panel, Series
from sequary.data.scaling import Pair, moments, scaled


@dataclasses.dataclass(frozen=True, slots=True)
class Neighbours:
    """Mean over the nearest of `donors` rows, by distance over what both know (scikit-learn's KNNImputer)."""

    donors: int = 2000
    neighbours: int = 10

    def fill(self, panel: Panel, seed: int) -> list[Floats]:
        from sklearn.impute import KNNImputer

        return _filled(panel, KNNImputer(n_neighbors=self.neighbours, weights="distance"), self.donors, seed)


@dataclasses.dataclass(frozen=True, slots=True)
class Regressions:
    """A Bayesian ridge regression of each column on all others, in turn, `rounds` times (scikit-learn's IterativeImputer)."""

    donors: int = 20_000
    rounds: int = 10

    def fill(self, panel: Panel, seed: int) -> list[Floats]:
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.impute import IterativeImputer

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*Early stopping criterion not reached")
            model = IterativeImputer(max_iter=self.rounds, random_state=seed % 2**32)
            return _filled(panel, model, self.donors, seed)


def _filled(panel: Panel, model: Any, donors: int, seed: int) -> list[Floats]:
    """Fitted on `donors` rows at most, drawn from all; asked only for rows with a gap."""
    width, pairs = len(panel.channels), [moments(s.values) for s in panel.series]
    rows_NF = np.concatenate([_rows(s, p, panel.frequency.season) for s, p in zip(panel.series, pairs, strict=True)])
    fitted_on = np.flatnonzero(np.isfinite(rows_NF[:, :width]).any(axis=1))
    if len(fitted_on) > donors:
        fitted_on = np.sort(np.random.default_rng(seed).choice(fitted_on, donors, replace=False))
    # A column of which the donors know nothing tells nothing: scikit-learn would drop it, and shift all others.
    told = np.flatnonzero(np.isfinite(rows_NF[fitted_on]).any(axis=0))
    model.fit(rows_NF[np.ix_(fitted_on, told)])
    wanted, own = np.flatnonzero(np.isnan(rows_NF[:, :width]).any(axis=1)), told[told < width]
    said_NC = np.full((len(rows_NF), width), np.nan)
    if len(wanted):
        said_NC[np.ix_(wanted, own)] = model.transform(rows_NF[np.ix_(wanted, told)])[:, : len(own)]
    ends = np.cumsum([len(s) for s in panel.series])[:-1]
    return [
        np.where(np.isnan(s.values), shift + size * said, s.values)
        for s, (shift, size), said in zip(panel.series, pairs, np.split(said_NC, ends), strict=True)
    ]


def _rows(series: Series, pair: Pair, season: int) -> Floats:
    """[T, 3 C + 2]."""
    own, lag = scaled(series.values, pair), max(season, 1)
    empty = np.full((min(lag, len(own)), own.shape[1]), np.nan)
    before, after = np.concatenate([empty, own[:-lag]]), np.concatenate([own[lag:], empty])
    turn = 2 * np.pi * np.arange(len(own)) / season
    return np.column_stack([own, before, after, np.sin(turn), np.cos(turn)])
