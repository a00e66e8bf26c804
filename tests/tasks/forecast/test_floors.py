"""Floors against forecasts worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sequary.data.panel import Panel
from sequary.tasks.forecast.floors import Drift, EmptyHistory, Floor, LastValue, SeasonalNaive
from sequary.tasks.forecast.metrics import coverage
from tests.tasks.panels import panel

NAN = np.nan
FLOORS = [LastValue(), SeasonalNaive(), Drift()]


def mean(floor: Floor, cut: Panel, horizon: int) -> list[float]:
    return floor.forecast(cut, horizon, [])[0].mean[:, 0].tolist()


def test_last_value_is_the_last_known_one() -> None:
    assert mean(LastValue(), panel(np.array([1.0, 5, NAN])), 2) == [5, 5]


def test_drift_goes_on_from_the_last_known_value() -> None:
    # slope (7 - 1) / 3 from rows 1 to 4; the last known value lies one step before the end.
    assert mean(Drift(), panel(np.array([NAN, 1.0, 9, NAN, 7, NAN])), 2) == [7 + 2 * 2, 7 + 3 * 2]
    assert mean(Drift(), panel(np.array([3.0])), 2) == [3, 3]


def test_seasonal_naive_takes_the_last_known_value_of_each_place_in_the_season() -> None:
    assert mean(SeasonalNaive(), panel(np.array([1.0, 2, 3, 4, 5]), season=3), 5) == [3, 4, 5, 3, 4]
    assert mean(SeasonalNaive(), panel(np.array([1.0, 2, 3, 4, NAN, 6]), season=3), 4) == [4, 2, 6, 4]


def test_seasonal_naive_takes_the_last_known_value_where_a_place_was_never_known() -> None:
    assert mean(SeasonalNaive(), panel(np.array([1.0, NAN, 3, 4, NAN]), season=3), 3) == [3, 4, 4]
    assert mean(SeasonalNaive(), panel(np.array([7.0]), season=12), 13) == [7] * 13


@pytest.mark.parametrize("floor", FLOORS)
def test_times_and_shapes_follow_the_history(floor: Floor) -> None:
    rng = np.random.default_rng(0)
    cut = panel(rng.standard_normal((30, 2)), rng.standard_normal((20, 2)), season=4)
    long, short = floor.forecast(cut, 5, [0.1, 0.5, 0.9])
    assert (long.id, short.id) == ("s0", "s1")
    assert long.times.tolist() == [30, 31, 32, 33, 34]
    assert short.mean.shape == short.quantiles[0.9].shape == (5, 2)


@pytest.mark.parametrize("floor", FLOORS)
def test_nothing_known_is_refused_by_name(floor: Floor) -> None:
    with pytest.raises(EmptyHistory, match=r"series 's0', target 'c1': none of the 3 values"):
        floor.forecast(panel(np.array([[1.0, NAN], [2, NAN], [3, NAN]])), 2, [])
    with pytest.raises(EmptyHistory, match="none of the 0 values"):
        floor.forecast(panel(np.empty((0, 1))), 2, [])


@pytest.mark.parametrize("floor", FLOORS)
def test_quantiles_do_not_cross_and_centre_on_the_forecast(floor: Floor) -> None:
    levels = [0.001, 0.025, 0.1, 0.5, 0.9, 0.975, 0.999]
    y = np.cumsum(np.random.default_rng(1).standard_normal(40))
    y[[3, 17, 18, 39]] = NAN
    found = floor.forecast(panel(y, season=4), 9, levels)[0]
    stacked = np.stack([found.quantiles[p] for p in levels])
    assert (np.diff(stacked, axis=0) >= 0).all()
    np.testing.assert_array_equal(found.quantiles[0.5], found.mean)


@pytest.mark.parametrize("floor", FLOORS)
def test_intervals_cover_what_they_promise_on_random_walks(floor: Floor) -> None:
    rng, inside = np.random.default_rng(2), []
    for _ in range(60):
        y = np.cumsum(rng.standard_normal(400))
        found = floor.forecast(panel(y[:390], season=3), 10, [0.1, 0.9])[0]
        inside.append(coverage(y[390:, None], found.quantiles[0.1], found.quantiles[0.9])[0])
    assert 0.70 <= np.mean(inside) <= 0.90


def test_a_short_history_gets_the_normal_theory() -> None:
    y = np.array([0.0, 1, 0, 1])  # mean change 1, so sigma sqrt(pi / 2) a step
    found = LastValue().forecast(panel(y), 4, [0.975])[0]
    theory = stats.norm.ppf(0.975) * np.sqrt(np.arange(1, 5) * np.pi / 2)
    np.testing.assert_allclose(found.quantiles[0.975][:, 0] - found.mean[:, 0], theory)
