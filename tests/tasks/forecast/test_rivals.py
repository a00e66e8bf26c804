"""Boosting on lags: it learns what there is to learn, uses each kind of covariate, sees nothing after the origin, repeats."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from sequary.data.panel import Frequency, Panel
from sequary.tasks.forecast.floors import EmptyHistory, Floor, LastValue, SeasonalNaive
from sequary.tasks.forecast.lags import calendar
from sequary.tasks.forecast.metrics import coverage, mae, mase, mase_scale
from sequary.tasks.forecast.rivals import BoostedLags, plan
from tests.tasks.panels import panel

DATA = Path(os.environ.get("SEQUARY_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))
SMALL = BoostedLags(max_rows=4000, max_iter=60)


def seasonal(length: int, seed: int) -> np.ndarray:
    """Season 8 with an amplitude that wanders, and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    return 10 + np.sin(t * np.pi / 4) * (2 + np.sin(t / 40)) + 0.1 * rng.standard_normal(length)


def error(floor: Floor, cut: Panel, truth: np.ndarray) -> float:
    return float(mae(truth, floor.forecast(cut, len(truth), [])[0].mean).mean())


def test_it_beats_the_floors_on_a_season_and_its_intervals_cover() -> None:
    y = seasonal(1000, 0)
    fitted = SMALL.fit(panel(y[:800], season=8), 12, 0)
    ours, floor, inside = [], [], []
    for stop in range(800, 980, 12):
        cut, truth = panel(y[:stop], season=8), y[stop : stop + 12, None]
        found = fitted.forecast(cut, 12, [0.1, 0.9])[0]
        ours.append(mae(truth, found.mean)[0])
        floor.append(min(error(SeasonalNaive(), cut, truth), error(LastValue(), cut, truth)))
        inside.append(coverage(truth, found.quantiles[0.1], found.quantiles[0.9])[0])
    assert np.mean(ours) < 0.9 * np.mean(floor)
    assert 0.65 <= np.mean(inside) <= 0.95


NOISE = np.random.default_rng(1).standard_normal(460)


@pytest.mark.parametrize(
    ("known", "blind"),
    [
        # y_t = x_t, known beforehand
        (panel(NOISE, future=NOISE[:, None]), panel(NOISE)),
        # y_{t+1} = x_t, known at the origin
        (panel(NOISE[:-1], past=NOISE[1:, None]), panel(NOISE[:-1])),
    ],
    ids=["future", "past"],
)
def test_covariates_tell_what_the_target_alone_cannot(known: Panel, blind: Panel) -> None:
    errors: list[float] = []
    for whole in (known, blind):
        fitted = SMALL.fit(whole.cut([400]), 1, 0)
        cuts = [(whole.cut([stop]), NOISE[stop : stop + 1, None]) for stop in range(400, 459)]
        errors.append(float(np.mean([error(fitted, cut, truth) for cut, truth in cuts])))
    assert errors[0] < 0.3 * errors[1]


def test_static_covariates_tell_series_apart() -> None:
    signs = np.tile([-1.0, 1.0], 40)
    values = 0.1 * np.random.default_rng(5).standard_normal((80, 8))
    values[:, 7] += 5 * signs  # the last value jumps, to where only the static covariate says
    base = panel(*values)
    named = [dataclasses.replace(s, static=np.array([sign])) for s, sign in zip(base.series, signs, strict=True)]
    known = dataclasses.replace(base, series=tuple(named), static=("sign",))
    found = SMALL.fit(known, 1, 0).forecast(known.cut([7] * 80), 1, [])
    assert np.mean([np.sign(f.mean[0, 0]) == sign for f, sign in zip(found, signs, strict=True)]) > 0.95


def test_intervals_are_not_those_of_fitted_residuals() -> None:
    y = np.random.default_rng(4).standard_normal(700)
    fitted = SMALL.fit(panel(y[:300]), 4, 0)  # enough iterations to learn noise by heart
    inside: list[float] = []
    for stop in range(300, 696, 4):
        found = fitted.forecast(panel(y[:stop]), 4, [0.1, 0.9])[0]
        inside.append(coverage(y[stop : stop + 4, None], found.quantiles[0.1], found.quantiles[0.9])[0])
    assert 0.72 <= np.mean(inside) <= 0.9


def with_gaps() -> np.ndarray:
    y = np.stack([seasonal(300, 2), 100 * seasonal(300, 3)], axis=1)
    y[50:70, 0], y[::7, 1], y[-2:] = np.nan, np.nan, np.nan
    return y


def test_gaps_are_taken_as_they_are() -> None:
    cut = panel(with_gaps(), season=8)
    found = SMALL.fit(cut, 8, 0).forecast(cut, 8, [0.1, 0.9])[0]
    assert np.isfinite([found.mean, *found.quantiles.values()]).all()
    assert mae(10 * np.array([1.0, 100]) * np.ones((8, 2)), found.mean).tolist() < [3, 300]


def test_same_seed_same_bits_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from threadpoolctl import threadpool_limits

    cut = panel(with_gaps(), season=8)
    runs = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="openmp"):
            found = BoostedLags(max_rows=900, max_iter=20).fit(cut, 8, 5).forecast(cut, 8, [0.9])[0]
        runs.append((found.mean.tobytes(), found.quantiles[0.9].tobytes()))
    assert runs[0] == runs[1]
    other = BoostedLags(max_rows=900, max_iter=20).fit(cut, 8, 6).forecast(cut, 8, [])[0]
    assert other.mean.tobytes() != runs[0][0]


def test_memory_goes_by_the_rows_that_are_drawn_not_by_those_that_there_are() -> None:
    import tracemalloc

    wide = panel(np.random.default_rng(0).standard_normal((4000, 20)), season=24)  # 7.6 million rows at 96 steps ahead
    model = BoostedLags(max_rows=200, max_iter=1)
    tracemalloc.start()
    try:
        model.fit(wide, 96, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 7.6e6  # half of what one whole number a row takes


def test_nothing_after_the_origin_moves_a_forecast() -> None:
    y, rng = with_gaps(), np.random.default_rng(7)
    past, future = rng.standard_normal((300, 1)), rng.standard_normal((300, 1))
    moved = y.copy(), past.copy()
    for array in moved:
        array[250:] = 1e6
    found = []
    for values, known in ((y, past), moved):
        cut = panel(values, season=8, past=known, future=future).cut([250])
        found.append(SMALL.fit(cut, 8, 0).forecast(cut, 8, [0.1])[0])
    np.testing.assert_array_equal(found[0].mean, found[1].mean)
    np.testing.assert_array_equal(found[0].quantiles[0.1], found[1].quantiles[0.1])


def test_future_rows_that_were_not_given_are_missing_values() -> None:
    rng = np.random.default_rng(8)
    x = rng.standard_normal((120, 1))
    cut = panel(x[:100, 0], future=x[:102])
    assert np.isfinite(SMALL.fit(cut, 6, 0).forecast(cut, 6, [0.9])[0].quantiles[0.9]).all()


def test_series_of_all_lengths_and_unseen_ones() -> None:
    cut = panel(seasonal(120, 0), seasonal(5, 1), np.array([3.0]), np.full(40, 2.0), season=8)
    fitted = SMALL.fit(cut, 4, 0)
    assert all(np.isfinite(f.quantiles[0.9]).all() for f in fitted.forecast(cut, 4, [0.9]))
    assert np.isfinite(fitted.forecast(panel(seasonal(30, 9), season=8), 4, [])[0].mean).all()


def test_refusals_name_the_mend() -> None:
    cut = panel(seasonal(100, 0), season=8)
    fitted = SMALL.fit(cut, 4, 0)
    with pytest.raises(ValueError, match="horizon=5 exceeds horizon=4 of the fit"):
        fitted.forecast(cut, 5, [])
    with pytest.raises(ValueError, match="no series has two known values"):
        SMALL.fit(panel(np.array([1.0])), 4, 0)
    with pytest.raises(EmptyHistory, match="series 's0', target 'c0'"):
        fitted.forecast(panel(np.full(5, np.nan), season=8), 4, [])


def test_a_plan_depends_on_sizes_and_grows_with_time() -> None:
    cut = panel(seasonal(100, 0), season=8)
    assert plan(cut, 5.0) == plan(cut, 5.0)
    plans = [plan(cut, seconds) for seconds in (0.01, 1.0, 5.0, 1000.0)]
    assert plans == sorted(plans)
    assert plans[0] == (2000, 10)
    assert plans[-1] == (100_000, 100)


def test_calendar_of_dates() -> None:
    times = np.array(["2024-01-01T06:30", "2024-02-04T00:00"], dtype="datetime64[us]")  # a Monday, a Sunday
    assert calendar(times, panel(np.zeros(2)).frequency).tolist() == [[6.5, 0, 0], [0, 6, 1]]


def test_etth1_within_seconds_and_better_than_the_floors() -> None:
    if not (DATA / "ett").exists():
        pytest.skip(f"ETTh1 is not in {DATA}; set SEQUARY_DATA")
    y = np.loadtxt(DATA / "ett" / "ETTh1.csv", delimiter=",", skiprows=1, usecols=range(1, 8))
    start = len(y) - 24 * 70
    scale = mase_scale(y[:start], 24)
    fitted = BoostedLags(max_rows=15_000, max_iter=60).fit(panel(y[:start], season=24), 24, 0)
    ours, floor = [], []
    for stop in range(start, len(y) - 24, 2 * 24):
        cut, truth = panel(y[:stop], season=24), y[stop : stop + 24]
        ours.append(mase(truth, fitted.forecast(cut, 24, [])[0].mean, scale))
        floor.append(mase(truth, SeasonalNaive().forecast(cut, 24, [])[0].mean, scale))
    assert np.mean(ours) < 0.95 * np.mean(floor)


def test_dates_are_followed_past_the_last_row() -> None:
    base = panel(np.arange(200.0) % 7)  # a weekly pattern that only the calendar tells: no season is declared
    days = np.datetime64("2024-01-01", "us") + np.arange(200) * np.timedelta64(1, "D")
    series = dataclasses.replace(base.series[0], times=days)
    daily = dataclasses.replace(base, series=(series,), frequency=Frequency("1d", 1))
    found = SMALL.fit(daily, 7, 0).forecast(daily, 7, [])[0]
    assert found.times[0] == days[-1] + np.timedelta64(1, "D")
    assert np.abs(found.mean[:, 0] - np.arange(200, 207) % 7).max() < 1
