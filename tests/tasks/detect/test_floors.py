"""Floors: what they say is what their formulas say, and nothing ahead of a step moves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sequary.tasks.detect.floors import LagForest, Residuals
from tests.tasks.panels import panel

RNG = np.random.default_rng(0)
DAY = np.sin(2 * np.pi * np.arange(240) / 24)


def test_a_residual_is_counted_in_deviations_of_the_training_part() -> None:
    y = DAY + 0.1 * RNG.normal(size=240)
    change = y[24:] - y[:-24]
    middle = np.median(change[:100])
    size = 1.4826 * np.median(np.abs(change[:100] - middle))
    learned = Residuals().learn(panel(y, season=24).cut([124]))
    said = learned.scores(panel(y, season=24))[0]
    assert np.isnan(said[:24]).all()
    np.testing.assert_allclose(said[24:], np.abs(change - middle) / size)


def test_the_most_unusual_channel_counts_and_gaps_do_not() -> None:
    both = np.stack([RNG.normal(size=100), 10 * RNG.normal(size=100)], 1)
    both[60, 0] += 50
    both[70, 1] += 500
    both[80] = np.nan
    said = Residuals(1).learn(panel(both)).scores(panel(both))[0]
    assert set(np.argsort(-np.nan_to_num(said))[:4]) == {60, 61, 70, 71}
    assert np.isnan(said[[0, 80, 81]]).all()
    assert np.isfinite(np.delete(said, [0, 80, 81])).all()


def test_a_repeating_series_has_finite_residuals() -> None:
    y = np.tile([1.0, 2.0, 3.0], 30)
    y[50] = 9
    said = Residuals(3).learn(panel(y)).scores(panel(y))[0]
    assert np.isfinite(said[3:]).all()
    assert np.nanargmax(said) in (50, 53)
    said = Residuals(3).learn(panel(y[:45])).scores(panel(y))[0]
    assert np.nanargmax(said) in (50, 53)


def test_the_forest_finds_a_shape_that_it_has_not_seen() -> None:
    y = DAY + 0.05 * RNG.normal(size=240)
    y[200:206] = 2.5
    y[100] = np.nan
    said = LagForest().learn(panel(y).cut([150])).scores(panel(y))[0]
    assert 200 <= np.nanargmax(said) <= 221
    assert np.flatnonzero(np.isnan(said)).tolist() == [*range(15), 100]
    assert np.isnan(LagForest(trees=3).learn(panel(y)).scores(panel(y[:9]))[0]).all()


@pytest.mark.parametrize("floor", [Residuals(), Residuals(1), LagForest(trees=10)])
def test_nothing_ahead_moves_a_score_and_a_new_series_is_scored(floor: Any) -> None:
    y, other = DAY + 0.1 * RNG.normal(size=240), DAY.copy()
    changed = y.copy()
    changed[180:] = RNG.normal(size=60)
    learned = floor.learn(panel(y, season=24).cut([150]))
    one, two = (learned.scores(panel(v, season=24))[0] for v in (y, changed))
    np.testing.assert_array_equal(one[:180], two[:180])
    assert (one[180:] != two[180:]).any()
    new = learned.scores(panel(y, other, season=24))[1]
    assert np.isfinite(new[24:]).all()
