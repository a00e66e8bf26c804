"""A budget is wall time: equal shares, three rungs, and no silent extras."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sequary.compare import durations
from sequary.compare.ask import Ask
from sequary.compare.plan import Costs, halving, survivors
from sequary.compare.planning import plans
from sequary.compare.run import conduct
from tests.compare.sleepers import Sleeper, SleepTask, prepared


def test_all_runs_of_a_plan_fit_into_the_share() -> None:
    costs = Costs(start=0.5, step=0.01, look=0.02)
    settings = [{"lr": x} for x in range(4)]
    count, steps = halving(settings, costs, share=60.0, seeds=3, looks=10)
    assert count == 4
    runs = [(4, steps // 4), (2, steps // 2), (1, steps), (3, steps)]
    total = sum(n * costs.of(s, 10) for n, s in runs)
    assert 0.97 * 60 <= total <= 60


def test_little_time_tries_fewer_settings() -> None:
    settings = [{"lr": x} for x in range(8)]
    costs = Costs(start=0.5, step=0.01, look=0.0)
    counts = [halving(settings, costs, share=s, seeds=3, looks=10)[0] for s in (100.0, 15.0, 4.0)]
    assert counts[0] == 8
    assert counts[0] > counts[1] > counts[2] == 1


def test_three_rungs_halve() -> None:
    assert survivors(8) == (8, 4, 2)
    assert survivors(3) == (3, 2, 1)


def test_shares_and_the_refit_add_up_to_the_budget() -> None:
    sleepers = [Sleeper(name, 0.01) for name in "abcd"]
    measured = {s.id: {"start": 0.1, "step": 0.01, "look": 0.001, "fixed": {}} for s in sleepers}
    task, ask = SleepTask(Path("unused")), Ask(horizon=1)
    made, level = plans(task, sleepers, measured, ask, seconds=60.0, workers=2, seeds=3)
    assert math.isclose(4 * level / 2 + made["a"].run_s, 60.0, rel_tol=0.02)


def test_one_candidate_with_one_seed_keeps_half_for_the_refit() -> None:
    measured = {"a": {"start": 0.0, "step": 5.0, "look": 0.0, "fixed": {}}}  # too slow to try several settings
    made, level = plans(
        SleepTask(Path("unused")), [Sleeper("a", 5.0)], measured, Ask(horizon=1), seconds=100.0, workers=2, seeds=1
    )
    assert math.isclose(level, 50.0)
    assert made["a"].steps == 10


def test_a_comparison_takes_its_budget(tmp_path: Path) -> None:
    sleepers = [Sleeper("a", 0.002), Sleeper("b", 0.006), Sleeper("c", 0.004)]
    board = conduct(prepared(tmp_path / "out", sleepers, budget=8.0))
    assert 0.85 * 8 <= board.manifest["training_wall_s"] <= 1.15 * 8
    took = [sum(r.seconds for r in c.rungs) + 2 * c.train_s for c in board.candidates]
    assert max(took) < 1.6 * min(took)  # equal shares, measuring apart


def test_each_rung_is_on_the_board_with_its_scores(tmp_path: Path) -> None:
    (made,) = conduct(prepared(tmp_path / "out", [Sleeper("a", 0.001)], budget=4.0, workers=1)).candidates
    assert [r.rung for r in made.rungs] == [0, 0, 0, 0, 1, 1, 2]
    assert [r.score for r in made.rungs] == [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.1]
    assert [r.kept for r in made.rungs] == [True, True, False, False, True, False, True]
    quarter, half, whole = (next(r.steps for r in made.rungs if r.rung == i) for i in range(3))
    assert whole // 4 == quarter
    assert whole // 2 == half
    assert made.setting == {"lr": 0.1}


def test_steps_that_turn_out_slower_shorten_the_final_runs(tmp_path: Path) -> None:
    slow = [Sleeper("a", 0.002, slows=2.0)]
    board = conduct(prepared(tmp_path / "out", slow, budget=8.0, workers=1))
    plan = board.manifest["plan"]["plans"]["a"]
    assert plan["final"] < plan["steps"]
    assert board.manifest["training_wall_s"] <= 1.15 * 8
    assert (tmp_path / "trace").read_text().count(f" board {plan['final']} ") == 2


def test_a_share_that_buys_nothing_is_said(tmp_path: Path) -> None:
    board = conduct(prepared(tmp_path / "out", [Sleeper("a", 0.001), Sleeper("huge", 0.5)], budget=4.0))
    found = {c.id: c for c in board.candidates}
    assert found["a"].status == "ok"
    assert found["huge"].status == "out of time"
    assert "raise --budget" in (found["huge"].error or "")


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("5m", 300), ("1h30m", 5400), ("90", 90), (2.5, 2.5)])
def test_spans(text: str | float, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-5m", "0s", "5 m x", float("nan"), 0])
def test_spans_that_make_no_sense(text: str | float) -> None:
    with pytest.raises(ValueError, match="span of time"):
        durations.seconds(text)
