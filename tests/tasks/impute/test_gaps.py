"""Gaps, floors, rivals and intervals on arrays."""

from __future__ import annotations

import numpy as np
import pytest

from sequary.tasks.impute import floors, rivals
from sequary.tasks.impute.gaps import away, hidden, lengths
from sequary.tasks.impute.intervals import BINS, Intervals, distance_bin
from tests.tasks.panels import panel

NAN = np.nan


def test_lengths_of_all_gaps() -> None:
    y = np.array([NAN, 1, NAN, NAN, 2, NAN])
    assert sorted(lengths(panel(y, np.arange(6.0)))) == [1, 1, 2]
    assert lengths(panel(np.arange(6.0))).tolist() == [1]


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_about_the_rate_is_hidden_in_blocks(rate: float) -> None:
    known = np.ones((1000, 3), bool)
    known[::7] = False
    gone = hidden(known, rate, np.array([20]), np.random.default_rng(0))
    assert not (gone & ~known).any()
    assert gone.sum() / known.sum() == pytest.approx(rate, abs=0.03)
    whole = hidden(np.ones((1000, 1), bool), 0.1, np.array([20]), np.random.default_rng(1))[:, 0]
    runs = lengths(panel(np.where(whole, NAN, 1.0)))
    assert set((runs % 20).tolist()) == {0}
    assert not np.array_equal(gone[:, 0], gone[:, 1])


def test_short_parts_keep_something() -> None:
    for steps in (2, 3, 5, 11):
        gone = hidden(np.ones((steps, 1), bool), 0.3, np.array([50]), np.random.default_rng(steps))
        assert 1 <= gone.sum() < steps


def test_steps_to_the_nearest_known_cell() -> None:
    known = np.array([0, 0, 1, 0, 0, 0, 1, 0], bool)[:, None]
    assert away(known)[:, 0].tolist() == [2, 1, 0, 1, 2, 1, 0, 1]
    assert away(np.zeros((5, 1), bool))[:, 0].tolist() == [5] * 5


def test_floors() -> None:
    y = np.array([NAN, 1, NAN, 3, 5, NAN])
    table = panel(y, season=2)
    assert floors.linear(table)[0][:, 0].tolist() == [1, 1, 2, 3, 5, 5]
    assert floors.last_value(table)[0][:, 0].tolist() == [1, 1, 1, 3, 5, 5]
    assert floors.mean(table)[0][:, 0].tolist() == [3, 1, 3, 3, 5, 3]
    assert floors.seasonal_mean(table)[0][:, 0].tolist() == [5, 1, 5, 3, 5, 2]
    assert np.isnan(y[0])  # what came in stays


@pytest.mark.parametrize("rule", [rivals.Neighbours(), rivals.Regressions()])
def test_rivals_read_the_other_channel(rule: rivals.Neighbours | rivals.Regressions) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=300)
    values = np.column_stack([a, 2 * a + 1])
    values[100:110, 0] = NAN
    (filled,) = rule.fill(panel(values), 0)
    assert np.array_equal(filled[~np.isnan(values)], values[~np.isnan(values)])
    assert np.abs(filled[100:110, 0] - a[100:110]).mean() < 0.35
    (again,) = rule.fill(panel(values), 0)
    assert np.array_equal(filled, again)


def test_intervals_cover_and_know_the_middle_of_a_gap() -> None:
    rng = np.random.default_rng(0)
    away_N = rng.integers(1, 40, 20_000)
    channel_N = rng.integers(0, 2, 20_000)
    spread_N = (1 + distance_bin(away_N)) * (1 + channel_N)
    made = Intervals.fit(spread_N * rng.normal(size=20_000), channel_N, away_N, 2)
    assert made.known
    grid = np.column_stack([np.arange(1, 40)] * 2)
    half = made.half(grid, (0.8, 0.95))
    assert np.all(half[0.95] > half[0.8])
    assert half[0.8][:, 0] == pytest.approx(1.2816 * (1 + distance_bin(grid[:, 0])), rel=0.15)
    assert half[0.8][:, 1] == pytest.approx(2.5631 * (1 + distance_bin(grid[:, 1])), rel=0.15)


def test_few_errors_are_pooled_and_none_is_no_interval() -> None:
    few = Intervals.fit(np.arange(30.0), np.zeros(30, np.int64), np.ones(30, np.int64), 2)
    assert few.known
    assert len(few.groups.sizes) == 2 * BINS
    assert not Intervals.fit(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64), 1).known
