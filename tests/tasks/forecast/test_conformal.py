"""Conformal intervals: ranks by hand, coverage by simulation, and honest widths where residuals are few."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sequary.tasks.forecast.conformal import Conformal

LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975]
ONE = np.ones(1)


def test_width_is_the_residual_of_the_corrected_rank() -> None:
    residuals = np.random.default_rng(0).permutation(np.arange(1.0, 20.0)).reshape(19, 1, 1) * [[[-1.0]]]
    found = Conformal.fit(residuals, ONE).quantiles(np.array([[100.0]]), ONE, [0.1, 0.5, 0.9, 0.975])
    assert {p: q.item() for p, q in found.items()} == {0.1: 84, 0.5: 100, 0.9: 116, 0.975: 119}  # ranks 16 and 19 of 19


def test_scales_are_divided_out_and_multiplied_back() -> None:
    rng = np.random.default_rng(1)
    unit = rng.standard_normal((50, 3, 2))
    scales = np.array([2.0, 500.0])
    same = Conformal.fit(unit, np.ones(2)).quantiles(np.zeros((3, 2)), np.array([7.0, 0.1]), LEVELS)
    for given in (scales, np.broadcast_to(scales, (50, 2))):
        found = Conformal.fit(unit * scales, given).quantiles(np.zeros((3, 2)), np.array([7.0, 0.1]), LEVELS)
        for p in LEVELS:
            np.testing.assert_allclose(found[p], same[p])


@pytest.mark.parametrize("noise", ["normal", "heavy", "skewed"])
@pytest.mark.parametrize("n", [19, 60])
def test_coverage_is_at_least_what_is_promised_and_little_more(noise: str, n: int) -> None:
    rng = np.random.default_rng(2)
    draw = {
        "normal": lambda size: rng.standard_normal(size),
        "heavy": lambda size: rng.standard_t(2, size),
        "skewed": lambda size: rng.gamma(1, 1, size),
    }[noise]
    inside = {0.8: 0.0, 0.95: 0.0}
    runs = 4000
    for residuals, new in zip(draw((runs, n, 1, 1)), draw(runs), strict=True):
        found = Conformal.fit(residuals, ONE).quantiles(np.zeros((1, 1)), ONE, LEVELS)
        inside[0.8] += abs(new) <= found[0.9].item()
        inside[0.95] += abs(new) <= found[0.975].item()
    for share, count in inside.items():
        error = 3 * np.sqrt(share * (1 - share) / runs)
        assert share - error <= count / runs <= share + 1 / (n + 1) + error


def test_student_t_covers_where_residuals_are_few() -> None:
    rng, runs = np.random.default_rng(3), 4000
    inside = 0
    for residuals, new in zip(rng.standard_normal((runs, 6, 1, 1)), rng.standard_normal(runs), strict=True):
        inside += abs(new) <= Conformal.fit(residuals, ONE).quantiles(np.zeros((1, 1)), ONE, [0.975])[0.975].item()
    assert abs(inside / runs - 0.95) < 0.012


def test_channels_that_are_copies_do_not_narrow_student_t() -> None:
    one = np.random.default_rng(4).standard_normal((3, 1, 1))
    copies = np.repeat(one, 5, axis=2)  # 15 residuals, but three origins
    alone = Conformal.fit(one, ONE).quantiles(np.zeros((1, 1)), ONE, [0.975])[0.975].item()
    assert Conformal.fit(copies, np.ones(5)).quantiles(np.zeros((1, 5)), np.ones(5), [0.975])[0.975][0, 0] == alone


def test_without_residuals_widths_grow_like_a_random_walk() -> None:
    found = Conformal.fit(np.full((4, 3, 1), np.nan), ONE).quantiles(np.zeros((3, 1)), ONE, [0.975])[0.975][:, 0]
    np.testing.assert_allclose(found, stats.norm.ppf(0.975) * np.sqrt(np.arange(1, 4) * np.pi / 2))


def test_shortfall_says_what_is_not_conformal() -> None:
    few = Conformal.fit(np.ones((6, 2, 1)), ONE)
    assert few.shortfall([0.1, 0.9]) is None
    assert few.shortfall(LEVELS) == "6 residuals a step are too few for conformal 95 % intervals: Student's t instead"
    assert Conformal.fit(np.ones((39, 2, 1)), ONE).shortfall(LEVELS) is None


@pytest.mark.parametrize("n", [0, 1, 3, 8, 25])
def test_quantiles_never_cross(n: int) -> None:
    levels = [0.0005, 0.01, 0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975, 0.99, 0.9995]
    residuals = np.random.default_rng(5).standard_t(1, (n, 4, 2))
    residuals[: n // 3, 2] = np.nan
    found = Conformal.fit(residuals, np.ones(2)).quantiles(np.zeros((4, 2)), np.array([1.0, 3.0]), levels)
    assert (np.diff([found[p] for p in levels], axis=0) >= 0).all()


def test_misuse_is_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match=r"scales must be positive, not 0\.0; use metrics\.mase_scale"):
        Conformal.fit(np.ones((3, 2, 1)), np.zeros(1))
    with pytest.raises(ValueError, match=r"residuals must be \[origins, horizon, channels\]"):
        Conformal.fit(np.ones((3, 2)), ONE)
    fitted = Conformal.fit(np.ones((3, 2, 1)), ONE)
    with pytest.raises(ValueError, match="horizon=5 exceeds the 2 calibrated steps"):
        fitted.quantiles(np.zeros((5, 1)), ONE, [0.5])
    with pytest.raises(ValueError, match="are not probabilities"):
        fitted.quantiles(np.zeros((2, 1)), ONE, [80])
