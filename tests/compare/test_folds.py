"""Where the origins lie, and what is known at each."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sequary.compare import folds
from sequary.data.errors import DataError
from sequary.data.panel import Panel, Series
from tests.tasks.panels import panel


@pytest.mark.parametrize(("length", "horizon", "count"), [(2284, 26, 12), (1000, 48, 8), (500, 48, 4), (100, 24, 2)])
def test_as_many_as_leave_sixty_percent_at_most_twelve_at_least_two(length: int, horizon: int, count: int) -> None:
    assert folds.count(length, horizon) == count


def test_origins_do_not_overlap_and_the_last_horizon_ends_the_series() -> None:
    made = folds.make(panel(np.arange(240.0)), 8)
    rows = [o.rows[0] for o in made.origins]
    assert len(rows) == 12
    assert rows[-1] == 240 - 8
    assert set(np.diff(rows)) == {8}
    assert rows[0] >= 0.6 * 240


def test_the_first_third_chooses_and_all_of_it_lies_before_the_board() -> None:
    made = folds.make(panel(np.arange(240.0)), 8)
    assert [o.role for o in made.origins] == ["choice"] * 4 + ["board"] * 8
    assert max(o.rows[0] for o in made.choice) + 8 <= made.board[0].rows[0]
    two = folds.make(panel(np.arange(40.0)), 8)
    assert [o.role for o in two.origins] == ["choice", "board"]


def test_too_short_names_what_is_needed() -> None:
    with pytest.raises(DataError, match=r"30 steps are too few to backtest horizon=8: .* 32 are needed"):
        folds.make(panel(np.arange(30.0)), 8)


def shifted(series: Series, by: int, name: str) -> Series:
    return dataclasses.replace(series, times=series.times.astype(np.int64) + by, id=name)


def late(first: int, second: int, begins: int) -> Panel:
    both = panel(np.arange(float(first)), np.arange(float(second)))
    return dataclasses.replace(both, series=(both.series[0], shifted(both.series[1], begins, "late")))


def test_origins_are_the_same_moment_for_every_series() -> None:
    made = folds.make(late(200, 120, begins=80), 8)
    for origin in made.origins:
        assert origin.rows[0] - origin.rows[1] == 80  # the second series is 80 steps younger at any moment
        assert origin.time == str(origin.rows[0] - 1)


def test_series_of_different_years_are_counted_back_from_their_own_ends() -> None:
    two = late(200, 200, begins=5000)
    three = dataclasses.replace(two, series=(*two.series, shifted(two.series[0], 900, "other")))
    made = folds.make(three, 8)
    assert "from the end of each series" in made.rule
    assert made.origins[-1].rows == (192, 192, 192)


def test_a_short_series_that_ends_last_does_not_lay_the_origins_of_all() -> None:
    made = folds.make(late(400, 60, begins=341), 8)  # ends one step after the long one
    assert len(made.origins) == 12
    assert made.moments
    assert made.origins[-1].rows[0] == 400 - 8


def test_one_short_series_among_those_of_different_years_takes_part_where_it_can() -> None:
    two = late(200, 200, begins=5000)
    three = dataclasses.replace(two, series=(*two.series, shifted(panel(np.arange(20.0)).series[0], 9000, "short")))
    made = folds.make(three, 8)
    assert not made.moments
    assert len(made.origins) == 10
    assert [o.rows[2] for o in made.origins[-3:]] == [0, 4, 12]
    assert folds.known(three, made.origins[0])[1] == (0, 1)


def test_too_short_names_the_file() -> None:
    with pytest.raises(DataError, match=r"^sales\.csv: 30 steps are too few"):
        folds.make(panel(np.arange(30.0)), 8, source="sales.csv")


def test_known_is_what_lies_before_the_origin_and_nothing_else() -> None:
    values = np.column_stack([np.arange(240.0), np.where(np.arange(240) < 230, np.nan, 1.0)])
    whole = panel(values, np.ones((240, 2)), future=np.ones((250, 1)), past=np.ones((240, 1)))
    made = folds.make(whole, 8)
    seen, kept = folds.known(whole, made.origins[0])
    rows = made.origins[0].rows[1]
    assert kept == (1,)  # the first has a channel of which nothing is known yet
    assert len(seen.series[0].values) == len(seen.series[0].past) == len(seen.series[0].times) == rows
    assert len(seen.series[0].future) == 250
