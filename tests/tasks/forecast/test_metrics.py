"""Errors against scikit-learn, closed forms and the M4 competition's published figures."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

from sequary.tasks.forecast import metrics
from sequary.tasks.forecast.floors import Floor, LastValue, SeasonalNaive
from tests.tasks.panels import panel

DATA = Path(os.environ.get("SEQUARY_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((24, 3)), rng.standard_normal((24, 3))


def test_errors_are_scikit_learns(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, mean = pair
    np.testing.assert_allclose(metrics.mae(truth, mean), mean_absolute_error(truth, mean, multioutput="raw_values"))
    np.testing.assert_allclose(metrics.mse(truth, mean), mean_squared_error(truth, mean, multioutput="raw_values"))
    for p in (0.025, 0.5, 0.9):
        expected = mean_pinball_loss(truth, mean, alpha=p, multioutput="raw_values")
        np.testing.assert_allclose(metrics.pinball(truth, mean, p), expected)


def test_missing_truth_is_left_out_and_a_missing_forecast_is_not(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, mean = pair
    truth[:5, 0], truth[:, 1], mean[3, 2] = np.nan, np.nan, np.nan
    error = metrics.mae(truth, mean)
    assert error[0] == pytest.approx(mean_absolute_error(truth[5:, 0], mean[5:, 0]))
    assert np.isnan(error[1:]).all()
    assert np.isnan(metrics.coverage(truth, mean, mean + 1)[1:]).all()


def test_crps_of_many_levels_is_that_of_the_distribution() -> None:
    levels = (np.arange(999) + 0.5) / 999
    y = np.array([[0.7]])
    found = metrics.crps(y, {p: np.array([[stats.norm.ppf(p)]]) for p in levels})
    # Gneiting & Raftery 2007, equation 21: CRPS of a standard normal.
    assert found[0] == pytest.approx(
        0.7 * (2 * stats.norm.cdf(0.7) - 1) + 2 * stats.norm.pdf(0.7) - np.pi**-0.5, abs=1e-3
    )


def test_crps_of_the_median_is_the_mae_and_of_nothing_is_nan(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, mean = pair
    np.testing.assert_allclose(metrics.crps(truth, {0.5: mean}), metrics.mae(truth, mean))
    assert np.isnan(metrics.crps(truth, {})).all()


def test_coverage_counts_both_ends() -> None:
    truth = np.array([[0.0], [1.0], [2.0], [np.nan], [3.0]])
    assert metrics.coverage(truth, np.full((5, 1), 1.0), np.full((5, 1), 2.0))[0] == 0.5


@pytest.mark.parametrize(
    ("history", "scale"),
    [
        ([1.0, 2, 4, 4], (3 + 2) / 2),
        ([1.0, np.nan, 4, 4, 6], (3 + 2) / 2),  # the pairs (1, 4) and (4, 6)
        ([1.0, 2], 1.0),  # shorter than a season: the last value's error
        ([1.0, 3, 1, 3], 2.0),  # repeats itself: the last value's error
        ([-5.0, -5, -5], 5.0),  # constant: its size
        ([0.0, 0, 0], 1.0),
        ([np.nan, np.nan, np.nan], 1.0),
    ],
)
def test_mase_scale_is_positive_by_the_documented_rule(history: list[float], scale: float) -> None:
    assert metrics.mase_scale(np.array(history)[:, None], 2)[0] == scale


def test_mase_scale_ignores_rounding() -> None:
    history = np.tile([0.1, 0.2], 50)[:, None]
    assert metrics.mase_scale(history + 1e-17, 2)[0] == pytest.approx(0.1)


@pytest.mark.parametrize(("name", "floor"), [("Naive", LastValue()), ("sNaive", SeasonalNaive())])
def test_mase_of_the_m4_competition(name: str, floor: Floor) -> None:
    published = DATA.parent / "catalogue" / "published.jsonl"
    if not (published.exists() and (DATA / "m4").exists()):
        pytest.skip(f"M4 Hourly and its published figures are not in {DATA}; set SEQUARY_DATA")
    rows = [json.loads(line) for line in published.read_text(encoding="utf-8").splitlines()]
    figure = next(
        r["value"] for r in rows if r["dataset"] == "M4 Hourly" and r["system"] == name and r["metric"] == "MASE"
    )
    train, test = (_m4(DATA / "m4" / f"Hourly-{part}.csv") for part in ("train", "test"))
    forecasts = floor.forecast(panel(*train.values(), season=24), 48, [])
    errors = [
        metrics.mase(test[key][:, None], f.mean, metrics.mase_scale(train[key][:, None], 24))[0]
        for key, f in zip(train, forecasts, strict=True)
    ]
    assert len(errors) == 414
    assert round(float(np.mean(errors)), 3) == figure


def _m4(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: np.array([float(cell) for cell in row[1:] if cell]) for row in rows}
