"""From trials to a verdict: intervals, floors, and exact parts that one counterexample refutes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from sequary.claims.judging import Trial, judge
from sequary.core.card import Claim

ERROR = Claim("a smaller error", experiment="none", metric="error", margin=0.01)
COUNT = Claim("a greater count", experiment="none", metric="count", better="higher")


def trials(*pairs: tuple[float, float], floor: float | None = None) -> list[Trial]:
    return [Trial(seed, system, baseline, floor) for seed, (system, baseline) in enumerate(pairs)]


def test_a_property_without_spread_and_without_floor_is_judged() -> None:
    verdict, numbers = judge(COUNT, trials((1.0, 0.2), (1.0, 0.2), (1.0, 0.2)))
    assert verdict == "holds"
    assert numbers["low"] == numbers["high"] == pytest.approx(0.8)
    assert "floor" not in numbers
    assert judge(COUNT, trials((0.2, 1.0), (0.2, 1.0), (0.2, 1.0)))[0] == "does not hold at this scale"
    assert judge(COUNT, trials((1.0, 1.0), (1.0, 1.0), (1.0, 1.0)))[0] == "does not hold at this scale"


def test_one_counterexample_refutes_an_exact_part() -> None:
    found = trials((1.0, 0.2), (1.0, 0.2), (1.0, 0.2))
    found[1] = dataclasses.replace(found[1], broken="symbol 7 differs")
    verdict, numbers = judge(COUNT, found)
    assert verdict == "does not hold at this scale"
    assert numbers["broken"] == 1


def test_a_floor_that_is_not_beaten_leaves_it_open() -> None:
    pairs = ((0.5, 0.9), (0.5, 0.9), (0.5, 0.9))
    assert judge(ERROR, trials(*pairs, floor=1.0))[0] == "holds"
    assert judge(ERROR, trials(*pairs, floor=0.8))[0] == "inconclusive"


def test_a_difference_within_the_margin_is_none() -> None:
    assert judge(ERROR, trials((0.500, 0.505), (0.500, 0.505), (0.500, 0.505)))[0] == "does not hold at this scale"
    assert judge(ERROR, trials((0.1, 0.9), (0.9, 0.1), (0.1, 0.9)))[0] == "inconclusive"


def test_what_surely_falls_short_of_the_margin_does_not_hold() -> None:
    worse_or_equal = trials((0.52, 0.50), (0.50, 0.50), (0.53, 0.50), (0.505, 0.50))
    verdict, numbers = judge(ERROR, worse_or_equal)
    assert numbers["low"] < -ERROR.margin < 0 < numbers["high"] < ERROR.margin
    assert verdict == "does not hold at this scale"


def test_a_margin_below_zero_asks_for_no_more_than_as_good() -> None:
    as_good = dataclasses.replace(ERROR, margin=-0.02)
    assert judge(as_good, trials((0.51, 0.50), (0.512, 0.50), (0.511, 0.50)))[0] == "holds"
    assert judge(as_good, trials((0.52, 0.50), (0.50, 0.50), (0.53, 0.50)))[0] == "inconclusive"
    assert judge(as_good, trials((0.60, 0.50), (0.61, 0.50), (0.60, 0.50)))[0] == "does not hold at this scale"


def test_trials_survive_json_and_notes_are_averaged() -> None:
    found = [Trial(seed, 1.0, 2.0, also={"bits": float(seed)}) for seed in range(3)]
    back = [Trial(**json.loads(json.dumps(dataclasses.asdict(t)))) for t in found]
    assert back == found
    assert judge(ERROR, back)[1]["bits"] == 1.0


def test_two_seeds_are_too_few() -> None:
    with pytest.raises(ValueError, match="2 seeds are too few"):
        judge(COUNT, trials((1.0, 0.2), (1.0, 0.2)))
