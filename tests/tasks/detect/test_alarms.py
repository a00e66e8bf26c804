"""What an alarm is, the threshold that allows so many, and scores against labels without point adjustment."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sequary.data.panel import Frequency
from sequary.tasks.detect.alarms import Threshold, alarms, distance, intervals, peaks
from sequary.tasks.detect.judged import auroc, judge, steps_a_week


def test_peaks_are_the_highest_among_their_neighbours() -> None:
    score = np.array([0, 5, 4, 0, 0, 3, np.nan, 5, 0, 0.0])
    assert peaks(score, 3).tolist() == [1, 7, 4]
    assert peaks(score, 1).tolist() == [1, 7, 2, 5, 0, 3, 4, 8, 9]
    assert alarms(score, 3.0, 3).tolist() == [1, 7]
    assert alarms(score, 5.0, 3).tolist() == []
    assert len(alarms(np.ones(100), 0.5, 10)) == 10  # one that goes on counts again


def test_the_threshold_keeps_its_promise_on_what_it_comes_from() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=3000), rng.normal(size=1500)]
    parts[0][:400] = np.nan
    found = Threshold.fit(parts, 8)
    assert found.steps == 4100
    for rate, allowed in ((0, 0), (0.2, 0), (1, 4), (2.5, 10)):
        counts = sum(len(alarms(p, found.at(rate), 8)) for p in parts)
        assert counts == allowed
    assert found.at(0) == max(np.nanmax(p) for p in parts)
    with pytest.raises(ValueError, match=r"alarms=500 per 1000 steps: the 4100 held-out steps tell of 0 to \d+"):
        found.at(500)
    with pytest.raises(ValueError, match="alarms=-1"):
        found.at(-1)


def test_where_peaks_are_rarer_than_the_rate_all_of_them_are_alarms() -> None:
    score = np.random.default_rng(0).uniform(size=5000)
    found = Threshold.fit([score], 900)
    assert len(found.heights) <= 5  # of which one per 1000 steps may be alarms
    assert len(alarms(score, found.at(), 900)) == len(found.heights)
    assert found.heights[-1] - found.at() < 1e-12
    with pytest.raises(ValueError, match=r"alarms=2 per 1000 steps: the 5000 held-out steps tell of 0 to 1; give one"):
        found.at(2)


def test_a_million_steps_tell_of_the_default_rate() -> None:
    score = np.random.default_rng(0).uniform(size=1_100_000)
    found = Threshold.fit([score], 8)
    assert len(alarms(score, found.at(), 8)) == 1100


def test_without_any_score_there_is_no_threshold() -> None:
    with pytest.raises(ValueError, match=r"none of 50 steps has a score .*; give longer series, or another detector"):
        Threshold.fit([np.full(30, np.nan), np.full(20, np.nan)], 8)


def test_events_are_runs_and_what_lies_close_is_one() -> None:
    on = np.zeros(30, bool)
    on[[2, 3, 7, 20]] = True
    assert intervals(on, 5) == [(2, 7), (20, 20)]
    assert intervals(on, 4) == [(2, 3), (7, 7), (20, 20)]
    assert intervals(on, 2) == [(2, 3), (7, 7), (20, 20)]
    assert intervals(np.zeros(5, bool), 3) == []
    assert [distance(season) for season in (1, 24, 288)] == [8, 8, 72]


def test_one_step_inside_finds_an_event_and_alarms_elsewhere_are_false() -> None:
    label, score = np.zeros(200, bool), np.zeros(200)
    label[50:60] = label[100:110] = True
    score[59] = score[62] = 1  # inside, and less than 5 steps behind: neither found twice nor false
    score[150] = score[20:32] = 1  # one alone; one that lasts 12 steps: 3 alarms of 5 steps
    found = judge(score, label, 0.5, 5)
    assert (found.events, found.found, found.false_alarms, found.steps) == (2, 1, 4, 200)
    assert found.f1 == pytest.approx(2 / (2 + 1 + 4))


@pytest.mark.parametrize("steps", [3, 8, 14])
def test_a_block_shorter_than_the_reach_of_a_label_is_judged(steps: int) -> None:
    label, score = np.zeros(steps, bool), np.zeros(steps)
    label[0] = score[0] = score[2] = score[-1] = 1
    found = judge(score, label, 0.5, 8)
    assert (found.events, found.found, found.false_alarms) == (
        1,
        1,
        int(steps > 8),
    )  # the last step is 13 from the label


def test_always_on_is_no_good_and_silence_is_right_where_nothing_is() -> None:
    label = np.zeros(1000, bool)
    assert judge(np.zeros(1000), label, 0.5, 8).f1 == 1
    assert judge(np.ones(1000), label, 0.5, 8).f1 == 0
    label[300:320] = True
    always = judge(np.ones(1000), label, 0.5, 8)
    assert always.found == 1
    assert always.false_alarms > 100
    assert judge(np.zeros(1000), label, 0.5, 8).f1 == 0


def test_auroc_counts_pairs() -> None:
    score, label = np.array([0.1, 0.4, 0.4, 0.9, np.nan]), np.array([False, True, False, True, True])
    assert auroc(score, label) == (1 + 0.5 + 1 + 1) / 4
    assert math.isnan(auroc(score, np.zeros(5, bool)))


def test_a_week_in_steps() -> None:
    assert steps_a_week(Frequency("5m", 288)) == 2016
    assert steps_a_week(Frequency("1d", 7)) == 7
    assert steps_a_week(Frequency("1i", 1)) is None
    assert steps_a_week(Frequency("1mo", 12)) is None
