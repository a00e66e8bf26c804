"""What any classifier must beat: the most frequent class, the nearest neighbour, a linear model on summary statistics.

Each learns from `Labelled` series and gives the probability of each class, of which none is ever 0.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Protocol

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sequary.data.panel import Floats
from sequary.data.scaling import moments, scaled
from sequary.tasks.classify.labelled import Bools, Ints, Labelled
from sequary.tasks.classify.rows import binned, scale

STEPS = 64
"""To which a longer series is averaged down before two are compared."""
PENALTY = 0.1
"""Inverse strength: many statistics stand against few series."""
AT_ONCE = 256


class Told(Protocol):
    """What a floor learned."""

    def proba(self, data: Labelled) -> Floats:
        """[N, classes]."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Majority:
    """p(k) = (n_k + 1) / (N + K), whatever the series is."""

    share_K: Floats

    @classmethod
    def fit(cls, data: Labelled) -> Majority:
        counts = np.bincount(data.labels, minlength=len(data.classes)) + 1.0
        return cls(counts / counts.sum())

    def proba(self, data: Labelled) -> Floats:
        return np.tile(self.share_K, (len(data), 1))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The class of the nearest series: Euclidean, channels on one scale, all averaged to one number of steps.

    Its class gets 1 − ε, the others share ε, the rate at which neighbours are wrong among the series that were learnt from:
    (wrong + 1) / (N + 2), where no series is a neighbour of its own group.
    """

    points_ND: Floats
    labels: Ints
    classes: int
    steps: int
    shift: Floats
    size: Floats
    wrong: float

    @classmethod
    def fit(cls, data: Labelled) -> Nearest:
        shift, size = scale(data)
        steps = int(min(STEPS, np.median(data.lengths)))
        points = _points(data, shift, size, steps)
        groups = np.unique(data.groups, return_inverse=True)[1] if len(set(data.groups)) > 1 else np.arange(len(data))
        near, apart = _nearest(points, points, groups)
        wrong = int((data.labels[near[apart]] != data.labels[apart]).sum())
        return cls(points, data.labels, len(data.classes), steps, shift, size, (wrong + 1) / (int(apart.sum()) + 2))

    def proba(self, data: Labelled) -> Floats:
        near, _ = _nearest(_points(data, self.shift, self.size, self.steps), self.points_ND, None)
        found = np.full((len(data), self.classes), self.wrong / (self.classes - 1))
        found[np.arange(len(data)), self.labels[near]] = 1 - self.wrong
        return found


def _points(data: Labelled, shift: Floats, size: Floats, steps: int) -> Floats:
    """[N, steps · C]; 0, the mean, where nothing is known."""
    rows = [scaled(binned(series, steps), (shift, size)).ravel() for series in data.values]
    return np.nan_to_num(np.stack(rows))


def _nearest(points_ND: Floats, others_MD: Floats, groups_N: Ints | None) -> tuple[Ints, Bools]:
    """[N] row of the nearest of the others, and whether there is one; with `groups_N` those of the own group are none."""
    near, there = np.zeros(len(points_ND), np.int64), np.ones(len(points_ND), np.bool_)
    square_M = (others_MD**2).sum(1)
    for start in range(0, len(points_ND), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        away = square_M - 2 * points_ND[rows] @ others_MD.T
        if groups_N is not None:
            away[groups_N[rows, None] == groups_N[None]] = np.inf
        near[rows] = away.argmin(1)
        there[rows] = np.isfinite(away.min(1))
    return near, there


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Multinomial logistic regression (L2) on summary statistics, each on one scale.

    A class that was not there gets ε / K, ε = 1 / (N + 2), and so does each other beside its share of the rest.
    """

    model: Pipeline
    seen: Ints
    classes: int
    fill: Floats
    unsure: float

    @classmethod
    def fit(cls, data: Labelled) -> Linear:
        rows = _statistics(data)
        fill = moments(rows)[0]
        seen = np.unique(data.labels)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=500))
        if len(seen) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a fit that stops a little early is still the floor
                model.fit(np.where(np.isfinite(rows), rows, fill), data.labels)
        return cls(model, seen, len(data.classes), fill, 1 / (len(data) + 2))

    def proba(self, data: Labelled) -> Floats:
        rows = _statistics(data)
        found = np.zeros((len(data), self.classes))
        known = np.where(np.isfinite(rows), rows, self.fill)
        found[:, self.seen] = self.model.predict_proba(known) if len(self.seen) > 1 else 1.0
        return (1 - self.unsure) * found + self.unsure / self.classes


def _statistics(data: Labelled) -> Floats:
    """[N, 7 C + 1]: of each channel mean, deviation, least, greatest and the means of three thirds; the logarithm of the length."""
    return np.stack([_statistic(series) for series in data.values])


def _statistic(series_TC: Floats) -> Floats:
    mean, deviation = moments(series_TC)
    gone = ~np.isfinite(series_TC).any(axis=0)
    least = np.where(gone, np.nan, np.nan_to_num(series_TC, nan=np.inf).min(0))
    greatest = np.where(gone, np.nan, np.nan_to_num(series_TC, nan=-np.inf).max(0))
    thirds = binned(series_TC, 3).ravel()
    return np.concatenate([np.where(gone, np.nan, mean), deviation, least, greatest, thirds, [np.log(len(series_TC))]])
