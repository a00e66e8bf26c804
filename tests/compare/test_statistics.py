"""Paired tests against scipy and formulas by hand, and the two promises by simulation: few false differences, real ones found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sequary.compare.board import Pair
from sequary.compare.statistics import diebold_mariano, holm, least_p, separate, wilcoxon

TOO_LITTLE = "too little data to separate"


def losses(*shape: int, shift: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Candidates a, b, … with a common part for each pair; the first is better by `shift` standard deviations."""
    rng = np.random.default_rng(seed)
    count, *pairs = shape
    common = 3 * rng.standard_normal(pairs)
    found = {chr(ord("a") + i): 10 + common + rng.standard_normal(pairs) for i in range(count)}
    found["a"] = found["a"] - shift
    return found


def test_diebold_mariano_without_lags_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 11))
    assert diebold_mariano(a - b) == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_diebold_mariano_with_lags_by_hand() -> None:
    d = np.array([1.0, 2, 0, 3, 1, 2, 2, 1])  # mean 1.5; autocovariances 6 / 8 and -4.25 / 8
    n, h = 8, 2
    variance = (6 + 2 * -4.25) / 8
    centred = d - 1.5
    assert centred @ centred == 6
    assert centred[1:] @ centred[:-1] == -4.25
    assert variance < 0  # so Bartlett's weights: 1 for lag 0, 1/2 for lag 1
    bartlett = (6 + 2 * 0.5 * -4.25) / 8
    t = 1.5 / np.sqrt(bartlett / n) * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert diebold_mariano(d, lags=1) == pytest.approx(2 * stats.t.sf(t, n - 1))


def test_diebold_mariano_with_lags_and_a_positive_sum() -> None:
    d = np.cumsum(np.random.default_rng(1).standard_normal(40)) * 0.3
    n, h, c = 40, 3, d - d.mean()
    variance = (c @ c + 2 * (c[1:] @ c[:-1] + c[2:] @ c[:-2])) / n
    t = d.mean() / np.sqrt(variance / n) * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert diebold_mariano(d, lags=2) == pytest.approx(2 * stats.t.sf(abs(t), n - 1))


def test_diebold_mariano_at_its_edges() -> None:
    assert diebold_mariano(np.zeros(8)) == 1
    assert diebold_mariano(np.ones(8)) == 0
    with pytest.raises(ValueError, match="2 differences are too few for lags=1; Diebold-Mariano needs at least 3"):
        diebold_mariano(np.ones(2), lags=1)


def test_wilcoxon_is_scipys_in_the_direction_asked() -> None:
    d = np.random.default_rng(2).standard_normal(30) - 0.5
    assert wilcoxon(d) == pytest.approx(np.asarray(stats.wilcoxon(d))[1])
    assert wilcoxon(-d) == 1
    assert wilcoxon(-np.arange(1.0, 9)) == least_p(8) == 2 / 2**8
    assert wilcoxon(np.zeros(5)) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_two_candidates_and_one_series_is_diebold_mariano() -> None:
    data = losses(2, 1, 12, shift=3)
    p = float(stats.ttest_rel(data["a"][0], data["b"][0]).pvalue)
    (pair,) = separate(data)
    assert pair.p == pytest.approx(p)
    assert pair == Pair(best="a", other="b", test="Diebold-Mariano", pairs=12, p=pair.p, verdict="better")


def test_two_candidates_and_many_series_is_wilcoxon_on_their_means() -> None:
    data = losses(2, 30, 4, shift=1)
    (pair,) = separate(data)
    assert (pair.test, pair.pairs, pair.verdict) == ("Wilcoxon", 120, "better")
    _, p = np.asarray(stats.wilcoxon(data["a"].mean(axis=1), data["b"].mean(axis=1)))
    assert pair.p == pytest.approx(p)


@pytest.mark.parametrize(
    ("candidates", "series", "origins", "test"),
    [
        (2, 1, 5, "none"),  # five agreeing origins happen by chance in 6 % of cases
        (2, 5, 5, "none"),
        (2, 1, 6, "Diebold-Mariano"),
        (2, 6, 1, "Wilcoxon"),
        (4, 7, 5, "none"),  # 6 comparisons times 2 / 2^7 is 9 %
        (4, 7, 6, "Diebold-Mariano"),
        (4, 8, 1, "Wilcoxon"),  # 6 times 2 / 2^8 is 4.7 %
    ],
)
def test_too_little_data_is_said_where_no_difference_could_show(
    candidates: int, series: int, origins: int, test: str
) -> None:
    for pair in separate(losses(candidates, series, origins, shift=1000)):
        assert (pair.test, pair.pairs) == (test, series * origins)
        assert pair.verdict == (TOO_LITTLE if test == "none" else "better")
        assert (pair.p is None) == (test == "none")


def test_equal_candidates_tie() -> None:
    data = losses(2, 20, 3)
    data["b"] = data["a"].copy()
    assert [(pair.verdict, pair.p) for pair in separate(data)] == [("tie", 1)]


def test_missing_losses_are_left_out_pair_by_pair() -> None:
    data = losses(3, 12, 4, shift=3)
    data["b"][:2, 1] = np.nan
    data["c"][:] = np.nan  # crashed
    (pair,) = separate(data)
    assert (pair.other, pair.pairs, pair.verdict) == ("b", 46, "better")
    data["b"][:-3] = np.nan
    assert separate(data)[0].verdict == TOO_LITTLE
    assert separate({"a": np.full((2, 2), np.nan), "b": np.ones((2, 2))}) == []


def test_a_best_mean_with_worse_ranks_is_no_better() -> None:
    a, b = np.full((20, 1), 1.0), np.full((20, 1), 1.1)
    b[0] = -5  # one series decides the mean
    (pair,) = separate({"b": b, "a": a})
    assert (pair.best, pair.p, pair.verdict) == ("b", 1, "tie")


def test_a_best_mean_with_worse_origins_is_no_better() -> None:
    b = np.full((5, 6), np.nan)
    b[:, 0], b[0, 1:] = 2.0, [-1.0, -1.1, -0.9, -1.0, -1.2]  # five losses at one origin decide the mean
    (pair,) = separate({"a": np.zeros((5, 6)), "b": b})
    assert (pair.best, pair.test, pair.p, pair.verdict) == ("a", "Diebold-Mariano", 1, "tie")


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="losses must share one shape"):
        separate({"a": np.ones((2, 3)), "b": np.ones((2, 2))})


def best_first(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(sorted(found.items(), key=lambda item: float(item[1].mean())))


def false_differences(
    candidates: int, series: int, origins: int, shock: float, runs: int, *, moments: bool = True
) -> float:
    """Share of boards of equal candidates on which any is called better; shocks hit all series of an origin at once."""
    rng = np.random.default_rng(3)
    count = 0
    for seed in range(runs):
        data = losses(candidates, series, origins, seed=seed)
        hit = {name: loss + shock * rng.standard_normal((1, origins)) for name, loss in data.items()}
        count += any(pair.verdict == "better" for pair in separate(best_first(hit), moments=moments))
    return count / runs


@pytest.mark.parametrize(
    ("candidates", "series", "origins", "shock"),
    [(2, 1, 6, 0), (6, 1, 6, 0), (6, 7, 6, 1), (4, 25, 4, 0), (3, 40, 8, 0.3), (3, 40, 2, 1)],
)
def test_equal_candidates_are_rarely_called_different(candidates: int, series: int, origins: int, shock: float) -> None:
    runs = 400
    found = false_differences(candidates, series, origins, shock, runs, moments=shock > 0)
    assert found <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


def test_series_alone_take_a_shock_that_hits_them_all_for_many_witnesses() -> None:
    assert false_differences(5, 50, 8, 0.3, 60, moments=False) > 0.5
    assert false_differences(5, 50, 8, 0.3, 60) < 0.15


@pytest.mark.parametrize(
    ("series", "origins", "shift", "moments"),
    [(1, 12, 3.0, True), (7, 6, 2.0, True), (30, 3, 1.0, False), (30, 8, 1.0, True)],
)
def test_a_real_difference_is_found(series: int, origins: int, shift: float, moments: bool) -> None:
    runs = 60
    found = sum(
        all(
            pair.best == "a" and pair.verdict == "better"
            for pair in separate(best_first(losses(5, series, origins, shift=shift, seed=i)), moments=moments)
        )
        for i in range(runs)
    )
    assert found >= 0.8 * runs


def test_one_moment_tells_nothing_of_others_however_many_series_it_has() -> None:
    data = losses(2, 500, 1, shift=3)
    assert [pair.verdict for pair in separate(data, moments=True)] == [TOO_LITTLE]
    assert [pair.verdict for pair in separate(data)] == ["better"]


def test_at_common_moments_the_less_sure_test_decides() -> None:
    data = losses(2, 30, 4, shift=1)
    (pair,) = separate(data, moments=True)
    difference = data["a"] - data["b"]
    each = {
        "Wilcoxon": wilcoxon(difference.mean(axis=1)),
        "Diebold-Mariano": diebold_mariano(difference.mean(axis=0)),
    }
    assert pair.p == max(each.values()) == each[pair.test]
