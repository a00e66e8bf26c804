"""Every way in which a covariate can copy the target, planted; and the ones that only look alike, left alone."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sequary.compare.suspects import suspects
from sequary.data.panel import Frequency, Panel, Series

HORIZON = 5
Y = np.random.default_rng(0).standard_normal(400).cumsum()


def shifted(k: int, rows: int = 400) -> np.ndarray:
    """x_t = y_{t+k}, NaN where that lies outside."""
    at = np.arange(rows) + k
    return np.where((at >= 0) & (at < len(Y)), Y[np.clip(at, 0, len(Y) - 1)], np.nan)


def table(x: np.ndarray, *, future: bool, y: np.ndarray = Y, season: int = 1) -> Panel:
    none = np.empty((len(y), 0))
    series = Series(
        id="a",
        times=np.arange(len(y)),
        values=y[:, None],
        past=none if future else x[:, None],
        future=x[:, None] if future else none,
        static=np.empty(0),
    )
    return Panel(
        series=(series,),
        channels=("y",),
        frequency=Frequency("1i", season),
        past=() if future else ("x",),
        future=("x",) if future else (),
    )


@pytest.mark.parametrize(
    ("shift", "future", "sentence"),
    [
        (
            3,
            False,
            "past covariate 'x' equals 'y' 3 steps later: a leak: it shows the target after the origin; "
            "drop it, or shift it at least 3 steps into the past.",
        ),
        (
            0,
            False,
            "past covariate 'x' equals 'y': no leak, as it is known up to the origin only, but it tells nothing new; drop it.",
        ),
        (
            -2,
            False,
            "past covariate 'x' equals 'y' 2 steps earlier: no leak: a lag of what is known at the origin anyway; "
            "it can be dropped.",
        ),
        (
            1,
            True,
            "future covariate 'x' equals 'y' 1 step later: a leak: given beforehand, it shows the target after the "
            "origin; drop it, or shift it at least 6 steps into the past.",
        ),
        (
            -4,
            True,
            "future covariate 'x' equals 'y' 4 steps earlier: a leak: given beforehand, it shows the target after the "
            "origin; drop it, or shift it at least 1 step into the past, or declare it a past covariate.",
        ),
        (
            -5,
            True,
            "future covariate 'x' equals 'y' 5 steps earlier: no leak: a lag of what is known at the origin anyway; "
            "it can be dropped.",
        ),
    ],
)
def test_shifts_are_named_with_their_mend(shift: int, future: bool, sentence: str) -> None:
    assert suspects(table(shifted(shift), future=future), HORIZON) == [sentence]


def test_affine_maps_are_named_with_their_equation() -> None:
    (sentence,) = suspects(table(32 - 1.8 * shifted(2), future=True), HORIZON)
    assert sentence.startswith("future covariate 'x' equals -1.8 × 'y' (2 steps later) + 32: a leak")


def test_gaps_on_either_side_hide_nothing() -> None:
    rng = np.random.default_rng(1)
    x, y = shifted(4) * 2, Y.copy()
    x[rng.random(400) < 0.5], y[rng.random(400) < 0.5] = np.nan, np.nan
    assert len(suspects(table(x, future=False, y=y), HORIZON)) == 1


def test_future_rows_beyond_the_target_and_shifts_up_to_a_season_are_looked_at() -> None:
    assert len(suspects(table(shifted(-3, rows=405), future=True), HORIZON)) == 1
    assert suspects(table(shifted(7), future=False), HORIZON) == []
    assert len(suspects(table(shifted(7), future=False, season=7), HORIZON)) == 1


def test_what_only_looks_like_the_target_is_left_alone() -> None:
    rng = np.random.default_rng(2)
    for x in (Y + 1e-3 * rng.standard_normal(400), Y**3, np.ones(400), np.full(400, np.nan), rng.standard_normal(400)):
        assert suspects(table(x, future=False), HORIZON) == []
    assert suspects(table(Y.copy(), future=False, y=np.ones(400)), HORIZON) == []
    few = np.where(np.arange(400) < 7, Y, np.nan)  # seven pairs prove nothing
    assert suspects(table(few, future=False), HORIZON) == []


def test_a_copy_in_some_series_is_counted_and_leaks_come_first() -> None:
    rng = np.random.default_rng(3)
    series = []
    for i in range(3):
        y = rng.standard_normal((60, 2))
        past = np.column_stack([rng.standard_normal(60), y[:, 1] if i else rng.standard_normal(60)])
        future = y[:, :1] if i == 2 else rng.standard_normal((60, 1))
        series.append(Series(id=str(i), times=np.arange(60), values=y, past=past, future=future, static=np.empty(0)))
    both = Panel(
        series=tuple(series),
        channels=("u", "v"),
        frequency=Frequency("1i", 1),
        past=("noise", "copy"),
        future=("leak",),
    )
    first, second = suspects(both, HORIZON)
    assert first.startswith("future covariate 'leak' equals 'u' in 1 of 3 series: a leak")
    assert second.startswith("past covariate 'copy' equals 'v' in 2 of 3 series: no leak")


def test_a_wide_table_is_searched_in_seconds() -> None:
    rng = np.random.default_rng(4)
    y, x = rng.standard_normal((20_000, 8)), rng.standard_normal((20_000, 8))
    wide = Panel(
        series=(Series(id="a", times=np.arange(20_000), values=y, past=x, future=x[:, :0], static=np.empty(0)),),
        channels=tuple("abcdefgh"),
        frequency=Frequency("1i", 168),
        past=tuple("ijklmnop"),
    )
    start = time.perf_counter()
    assert suspects(wide, 24) == []
    assert time.perf_counter() - start < 10


def test_two_columns_of_zeros_with_one_event_each_are_no_copy() -> None:
    sales, promotion = np.zeros((2, 400))
    sales[120], promotion[123] = 3.0, 1.0
    assert suspects(table(promotion, future=True, y=sales), HORIZON) == []
    sales[130:300:10], promotion[133:303:10] = 3.0, 1.0
    (said,) = suspects(table(promotion, future=True, y=sales), HORIZON)
    assert "equals 0.333333 × 'y' (3 steps earlier): a leak" in said  # no offset of rounding errors
