"""Which differences between candidates are real: paired tests, Holm-corrected, and a word for too little data.

A *series* here is one series of a long table, or one channel of a wide one: S series, O board origins, one loss for
each pair (series, origin). Losses must be comparable across series (MASE, not MAE), because they are averaged.

What repeats is tested:
- *Wilcoxon* across series, each series being the mean of its differences over origins. Its origins may depend on each
  other as they like, but what hits all series at one moment (a holiday, a storm) looks to it like as many witnesses.
- *Diebold-Mariano* over origins, each origin being the mean over series (with one series this is the usual test). Series
  may depend on each other as they like, as the channels of a table do.

Where origins are the same moments for all series, a difference must show in both, and one moment shows none, however many
series it has; where there are too few series for Wilcoxon to show anything, Diebold-Mariano decides. Where each series
has origins of its own, Wilcoxon decides if there are enough of them. The choice looks at sizes only, never at losses.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sequary.compare.board import Pair

Floats = NDArray[np.float64]
Test = Literal["Diebold-Mariano", "Wilcoxon", "none"]


def diebold_mariano(difference_N: Floats, lags: int = 0) -> float:
    """Two-sided p of "the mean difference of losses is zero" (Diebold & Mariano 1995), for N consecutive differences.

    The long-run variance sums autocovariances up to `lags`, which is h - 1 for h-step forecasts from every time step.
    Where the rows are means over the horizon at origins at least a horizon apart, no target is shared by two rows and
    `lags` is 0. Harvey, Leybourne & Newbold (1997): the statistic times sqrt((N + 1 - 2h + h(h-1)/N) / N), against
    Student's t with N - 1 degrees; with h = 1 this is the paired t-test. A sum that is not positive is taken again
    with Bartlett's weights, which cannot be negative.
    """
    n, h = len(difference_N), lags + 1
    if n <= h:
        raise ValueError(f"{n} differences are too few for lags={lags}; Diebold-Mariano needs at least {h + 1}")
    mean = difference_N.mean()
    centred_N = difference_N - mean
    cov_K = np.array([centred_N[k:] @ centred_N[: n - k] / n for k in range(h)])
    variance = cov_K[0] + 2 * cov_K[1:].sum()
    if variance <= 0:
        variance = cov_K[0] + 2 * (1 - np.arange(1, h) / h) @ cov_K[1:]
    if variance <= 0:  # all differences are the same
        return 1.0 if mean == 0 else 0.0
    correction = (n + 1 - 2 * h + h * (h - 1) / n) / n
    t = mean * np.sqrt(correction * n / variance)
    return float(2 * stats.t.sf(abs(t), n - 1))


def wilcoxon(difference_N: Floats) -> float:
    """Two-sided p that differences lie below zero by signed ranks (exact for few; zeros as Pratt); 1 if above."""
    if not np.any(difference_N):
        return 1.0
    p_below = np.asarray(stats.wilcoxon(difference_N, zero_method="pratt", alternative="less"))[1]
    return min(1.0, 2 * float(p_below))


def least_p(n: int) -> float:
    """Smallest two-sided p that n pairs can give without assuming a distribution: all of them agree, 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down adjustment: the k-th smallest times (m - k + 1), made monotone, at most 1."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def _compare(a_SO: Floats, b_SO: Floats, family: int, alpha: float, *, moments: bool) -> tuple[Test, int, float | None]:
    """(the test that is the less sure, pairs, its p before Holm) for "a is better than b": 1 where it points the other way
    (ranks and means can disagree), None where no difference could show in a family of that many comparisons."""
    known_SO = np.isfinite(a_SO) & np.isfinite(b_SO)
    difference_SO = np.where(known_SO, a_SO - b_SO, 0.0)
    pairs, by_series_S, by_origin_O = int(known_SO.sum()), known_SO.sum(axis=1), known_SO.sum(axis=0)
    series, origins = by_series_S > 0, by_origin_O > 0
    many, some = family * least_p(int(series.sum())) <= alpha, int(origins.sum())
    # Alone, p of a t-test has no least value, so the bar is that of one comparison without a distribution: six origins at 5 %.
    enough = some >= 2 if many else least_p(some) <= alpha
    found: list[tuple[Test, float]] = []
    if many and (enough or not moments):
        found.append(("Wilcoxon", wilcoxon(difference_SO[series].sum(axis=1) / by_series_S[series])))
    if enough and (moments or not many):
        difference_O = difference_SO[:, origins].sum(axis=0) / by_origin_O[origins]
        found.append(("Diebold-Mariano", diebold_mariano(difference_O) if difference_O.mean() < 0 else 1.0))
    test, p = max(found, key=lambda each: each[1], default=("none", None))
    return test, pairs, p


def separate(losses: Mapping[str, Floats], *, moments: bool = False, alpha: float = 0.05) -> list[Pair]:
    """The best candidate against each other one, given losses [S, O], those of the best first (lower is better, NaN where there
    is none; who has none at all is left out).

    `moments`: the columns are the same moments for all series.

    The best is picked from the same losses, so comparing it with K - 1 others is as good as looking at all K(K-1)/2
    pairs and keeping the most striking: Holm's correction runs over all of them. On simulated boards of ten equal
    candidates a false "better" then stood on 1 to 4 % of them; with a correction for K - 1 on 5 to 16 %.
    """
    shapes = {np.shape(loss_SO) for loss_SO in losses.values()}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        raise ValueError(f"losses must share one shape [series, origins], not {sorted(shapes)}")
    names = [name for name, loss_SO in losses.items() if np.isfinite(loss_SO).any()]
    duels = list(itertools.combinations(names, 2))
    tests = {(a, b): _compare(losses[a], losses[b], len(duels), alpha, moments=moments) for a, b in duels}
    tested = {duel: p for duel, (_, _, p) in tests.items() if p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    found: list[Pair] = []
    for other in names[1:]:
        test, pairs, _ = tests[names[0], other]
        p = adjusted.get((names[0], other))
        verdict = "too little data to separate" if p is None else "better" if p <= alpha else "tie"
        found.append(Pair(best=names[0], other=other, test=test, pairs=pairs, p=p, verdict=verdict))
    return found
