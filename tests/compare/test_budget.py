"""A budget is wall time, or steps: equal shares, three rungs, and no silent extras.

Only the tests marked slow hold anything against the clock. In the others measured seconds are made up, or so large that
those that pass meanwhile do not count.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequary.compare import durations
from sequary.compare.ask import Ask
from sequary.compare.collect import candidate
from sequary.compare.course import Course
from sequary.compare.entrants import OutOfTime
from sequary.compare.folds import make
from sequary.compare.ordinary import RuleEntrant
from sequary.compare.plan import Costs, Plan, halving, shortened, survivors
from sequary.compare.planning import by_steps, by_time
from sequary.compare.run import conduct
from sequary.compare.store import Store
from sequary.core.files import write_atomic
from sequary.data.panel import Forecast, Panel
from sequary.tasks.forecast.floors import LastValue
from tests.compare.sleepers import Sleeper, SleepTask, prepared
from tests.tasks.panels import panel

TASK, ASK = SleepTask(Path("unused")), Ask(horizon=1)


def costs(step: float) -> dict[str, Any]:
    return {"start": 0.1, "step": step, "look": 0.001, "fixed": {}, "settings": Sleeper("a", 0.0).settings()}


def test_all_runs_of_a_plan_fit_into_the_share() -> None:
    cost = Costs(start=0.5, step=0.01, look=0.02)
    settings = [{"lr": x} for x in range(4)]
    count, steps = halving(settings, cost, share=60.0, seeds=3, looks=10)
    assert count == 4
    runs = [(4, steps // 4), (2, steps // 2), (1, steps), (3, steps)]
    total = sum(n * cost.of(s, 10) for n, s in runs)
    assert 0.97 * 60 <= total <= 60


def test_little_time_tries_fewer_settings() -> None:
    settings = [{"lr": x} for x in range(8)]
    cost = Costs(start=0.5, step=0.01, look=0.0)
    counts = [halving(settings, cost, share=s, seeds=3, looks=10)[0] for s in (100.0, 15.0, 4.0)]
    assert counts[0] == 8
    assert counts[0] > counts[1] > counts[2] == 1


def test_three_rungs_halve() -> None:
    assert survivors(8) == (8, 4, 2)
    assert survivors(3) == (3, 2, 1)


def test_shares_and_the_refit_add_up_to_the_budget() -> None:
    sleepers = [Sleeper(name, 0.01) for name in "abcd"]
    measured = {s.id: costs(0.01) for s in sleepers}
    made, level = by_time(TASK, sleepers, measured, ASK, seconds=60.0, workers=2, seeds=3)
    assert math.isclose(4 * level / 2 + made["a"].run_s, 60.0, rel_tol=0.02)


def test_shares_are_equal_and_slow_steps_are_fewer() -> None:
    measured = {"fast": costs(0.002), "slow": costs(0.006)}
    made, level = by_time(TASK, [Sleeper(n, 0.0) for n in measured], measured, ASK, seconds=60.0, workers=2, seeds=2)
    spent = {
        name: sum(n * s for n, s in zip(survivors(4), p.rung_s, strict=True)) + 2 * p.run_s for name, p in made.items()
    }
    assert spent["fast"] == pytest.approx(level, rel=0.02)
    assert spent["slow"] == pytest.approx(level, rel=0.02)
    assert (made["fast"].steps or 0) > 2.5 * (made["slow"].steps or 0)


def test_one_candidate_with_one_seed_keeps_half_for_the_refit() -> None:
    measured = {
        "a": {"start": 0.0, "step": 5.0, "look": 0.0, "fixed": {}, "settings": Sleeper("a", 0.0).settings()}
    }  # too slow to try several settings
    made, level = by_time(TASK, [Sleeper("a", 5.0)], measured, ASK, seconds=100.0, workers=2, seeds=1)
    assert math.isclose(level, 50.0)
    assert made["a"].steps == 10


def test_a_share_that_buys_nothing_is_said() -> None:
    sleepers = [Sleeper("a", 0.001), Sleeper("huge", 0.5)]
    measured = {"a": costs(0.001), "huge": costs(0.5)}
    made, _ = by_time(TASK, sleepers, measured, ASK, seconds=4.0, workers=2, seeds=2)
    assert made["a"].refused is None
    found = candidate(sleepers[1], Course(made["huge"], ASK), {}, "mase", ["a"])
    assert found.status == "out of time"
    assert "raise --budget" in (found.error or "")


def test_steps_that_are_given_are_planned_whatever_was_measured() -> None:
    sleepers = [Sleeper("a", 0.001), Sleeper("broken", 0.1)]
    fast, slow = ({"a": costs(step), "broken": {"error": "no such thing"}} for step in (0.001, 1e3))
    plans = [by_steps(TASK, sleepers, measured, ASK, steps=200, seeds=3) for measured in (fast, slow)]
    for made in plans:
        assert (made["a"].steps, len(made["a"].settings), made["a"].seeds) == (200, 4, 3)
        assert made["broken"].refused == ("crashed", "no such thing")
    few = by_steps(TASK, sleepers, fast, ASK, steps=99, seeds=1)
    assert (few["a"].steps, len(few["a"].settings)) == (99, 1)  # a first rung of 24 steps would choose by chance


def test_each_rung_is_on_the_board_with_its_scores(tmp_path: Path) -> None:
    (made,) = conduct(prepared(tmp_path / "out", [Sleeper("a", 0.0)], steps=200, seeds=1)).candidates
    assert [r.rung for r in made.rungs] == [0, 0, 0, 0, 1, 1, 2]
    assert [r.score for r in made.rungs] == [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.1]
    assert [r.kept for r in made.rungs] == [True, True, False, False, True, False, True]
    assert [r.steps for r in made.rungs] == [50, 50, 50, 50, 100, 100, 200]
    assert made.setting == {"lr": 0.1}
    assert (tmp_path / "trace").read_text().splitlines()[-1] == "a board 200 0.1 0"


def test_final_runs_are_shortened_only_where_much_is_missing() -> None:
    assert shortened(1000, left=500.0, need=400.0) == 1000
    assert shortened(1000, left=380.0, need=400.0) == 1000
    assert shortened(1000, left=300.0, need=400.0) == 750
    assert shortened(1000, left=-1.0, need=400.0) == 250
    assert shortened(20, left=-1.0, need=400.0) == 8
    assert shortened(1000, left=math.inf, need=400.0) == 1000


def test_steps_that_turned_out_slower_shorten_the_final_runs(tmp_path: Path) -> None:
    """Rungs took twice what was planned, 400 of 900 thousand seconds; 200 are for the refit, and 400 are needed."""
    ready = prepared(tmp_path / "out", [Sleeper("a", 0.0)], budget=900e3, workers=1)
    plan = Plan(settings=[{"lr": 0.1}, {"lr": 0.2}], steps=1000, seeds=2, rung_s=(25e3, 50e3, 100e3), run_s=100e3)
    store = Store(ready.options.out, ready.arguments)
    store.open()
    store.freeze({"share_s": 1.0, "measured": {"a": costs(100.0)}, "plans": {"a": dataclasses.asdict(plan)}})
    for run, seconds in (("rung0-0", 50e3), ("rung0-1", 50e3), ("rung1-0", 100e3), ("rung2-0", 200e3)):
        write_atomic(store.file("a", run), json.dumps({"score": 0.1, "seconds": seconds, "memory_mb": 0.0}))
    board = conduct(ready)
    final = board.manifest["plan"]["plans"]["a"]["final"]
    assert 745 <= final <= 750  # 3/4 of the steps, less for the seconds that passed
    assert (tmp_path / "trace").read_text().count(f" board {final} ") == 2


def many(series: int, rows: int) -> Panel:
    rng = np.random.default_rng(0)
    return panel(*(np.sin(np.arange(rows) / 4) + rng.normal(size=rows) for _ in range(series)), season=24)


def test_a_classical_rival_reads_as_much_history_as_its_share_pays_for() -> None:
    """A fit has a price before it reads anything, so that half the history is not half the time."""
    ets, costs = RuleEntrant("ets", "", LastValue, kind="rival"), {"least": 0.1, "most": 1.0, "rows": 1000}
    whole = many(10, 300)
    assert ets.fitted_to(whole, 100.0, costs, origins=5) == ({}, 50.0)
    setting, seconds = ets.fitted_to(whole, 27.5, costs, origins=5)
    assert setting == {"history": 550}  # 0.55 s, half way from 100 rows to 1000
    assert seconds == 27.5
    with pytest.raises(OutOfTime, match=r"50 fits take about 5 s of one core even with 100 values .* share is 4.0 s"):
        ets.fitted_to(whole, 4.0, costs, origins=5)


def test_a_classical_rival_is_timed_on_several_series_at_two_lengths() -> None:
    seen: list[tuple[int, int]] = []

    @dataclasses.dataclass(frozen=True)
    class Timed:
        history: int

        def forecast(self, panel_cut: Panel, horizon: int, levels: Sequence[float]) -> list[Forecast]:
            seen.append((len(panel_cut.series), self.history))
            return LastValue().forecast(panel_cut, horizon, levels)

    whole = many(10, 300)
    rule: Any = Timed  # a rule by its shape, not one of the known ones
    found = RuleEntrant("ets", "", rule, kind="rival").costs(whole, make(whole, 4).choice[0], Ask(horizon=4))
    assert seen == [(3, 100), (3, 100), (3, 1000)]
    assert found["rows"] == make(whole, 4).choice[0].rows[0]
    assert found["least"] > 0
    assert found["most"] > 0


@pytest.mark.slow
def test_a_comparison_takes_its_budget(tmp_path: Path) -> None:
    sleepers = [Sleeper("a", 0.002), Sleeper("b", 0.006), Sleeper("c", 0.004)]
    board = conduct(prepared(tmp_path / "out", sleepers, budget=20.0))
    assert 0.75 * 20 <= board.manifest["training_wall_s"] <= 1.25 * 20


@pytest.mark.slow
def test_it_does_so_where_steps_turn_out_slower(tmp_path: Path) -> None:
    board = conduct(prepared(tmp_path / "out", [Sleeper("a", 0.002, slows=2.0)], budget=20.0, workers=1))
    plan = board.manifest["plan"]["plans"]["a"]
    assert plan["final"] < plan["steps"]
    assert board.manifest["training_wall_s"] <= 1.25 * 20


@pytest.mark.parametrize(
    ("text", "steps"), [("200steps", 200), ("200 steps", 200), ("200", None), ("5m", None), (9, None)]
)
def test_steps(text: str | float, steps: int | None) -> None:
    assert durations.steps(text) == steps


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("5m", 300), ("1h30m", 5400), ("90", 90), (2.5, 2.5)])
def test_spans(text: str | float, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-5m", "0s", "5 m x", float("nan"), 0])
def test_spans_that_make_no_sense(text: str | float) -> None:
    with pytest.raises(ValueError, match="span of time"):
        durations.seconds(text)
