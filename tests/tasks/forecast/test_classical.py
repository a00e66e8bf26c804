"""ETS and Theta through statsforecast: its own answer on whole histories, ours where values are missing or few."""

from __future__ import annotations

import numpy as np
import pytest

from sequary.tasks.forecast.classical import ETS, Theta, available
from sequary.tasks.forecast.floors import EmptyHistory, Floor, SeasonalNaive
from tests.tasks.panels import panel

pytestmark = pytest.mark.skipif(
    not available(), reason="statsforecast is not installed; pip install 'sequary[classical]'"
)
BOTH = [ETS(), Theta()]


def series(length: int) -> np.ndarray:
    t = np.arange(length)
    return 5 + 0.02 * t + np.sin(t * np.pi / 2) + 0.1 * np.random.default_rng(0).standard_normal(length)


def test_it_is_statsforecasts_forecast() -> None:
    from statsforecast.models import AutoETS

    y = series(80)
    expected = AutoETS(season_length=4).forecast(y, 6, level=[80, 95])
    found = ETS().forecast(panel(y, season=4), 6, [0.025, 0.1, 0.5, 0.9])[0]
    np.testing.assert_array_equal(found.mean[:, 0], expected["mean"])
    np.testing.assert_array_equal(found.quantiles[0.025][:, 0], expected["lo-95"])
    np.testing.assert_array_equal(found.quantiles[0.9][:, 0], expected["hi-80"])
    np.testing.assert_array_equal(found.quantiles[0.5], found.mean)


@pytest.mark.parametrize("floor", BOTH)
def test_missing_values_at_the_end_lengthen_the_forecast(floor: Floor) -> None:
    y = series(80)
    gone = y.copy()
    gone[-3:] = np.nan
    found = floor.forecast(panel(gone, season=4), 5, [0.9])[0]
    longer = floor.forecast(panel(y[:-3], season=4), 8, [0.9])[0]
    np.testing.assert_array_equal(found.mean, longer.mean[3:])
    np.testing.assert_array_equal(found.quantiles[0.9], longer.quantiles[0.9][3:])
    assert found.times[0] == 80


@pytest.mark.parametrize("floor", BOTH)
def test_gaps_and_an_unknown_start_do_not_reach_the_forecast(floor: Floor) -> None:
    y = np.stack([series(80), series(80)], axis=1)
    y[:10, 0], y[40:43, 1] = np.nan, np.nan
    found = floor.forecast(panel(y, season=4), 4, [0.9])[0]
    assert np.isfinite([found.mean, found.quantiles[0.9]]).all()
    assert abs(found.mean - (6.6 + np.sin(np.arange(80, 84) * np.pi / 2))[:, None]).max() < 0.5


@pytest.mark.parametrize("floor", BOTH)
def test_a_short_channel_gets_the_seasonal_naive_forecast(floor: Floor) -> None:
    cut = panel(series(7), season=4)
    np.testing.assert_array_equal(floor.forecast(cut, 4, [])[0].mean, SeasonalNaive().forecast(cut, 4, [])[0].mean)
    with pytest.raises(EmptyHistory):
        floor.forecast(panel(np.full(9, np.nan)), 4, [])
