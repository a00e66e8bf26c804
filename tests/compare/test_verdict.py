"""The verdict says what was found, and no more."""

from __future__ import annotations

import dataclasses

from sequary.compare.board import Candidate, Pair
from sequary.compare.tasks.forecast import WORDS
from sequary.compare.verdict import verdict


def some(id: str, kind: str, mase: float, params: int = 0, train_s: float = 0.0, latency_ms: float = 1.0) -> Candidate:
    return Candidate(
        id=id,
        title=id,
        kind=kind,  # pyright: ignore[reportArgumentType]
        metrics={"mase": mase},
        params=params,
        train_s=train_s,
        latency_ms=latency_ms,
    )


def pair(other: str, verdict: str, best: str = "patchtst", p: float | None = 0.01) -> Pair:
    return Pair(best=best, other=other, test="Wilcoxon", pairs=80, p=p, verdict=verdict)  # pyright: ignore[reportArgumentType]


BEST = some("patchtst", "system", 0.81, params=412_000, train_s=12.0, latency_ms=3.0)
LINEAR = some("dlinear", "system", 0.83, params=10_300, train_s=2.0)
FLOOR = some("seasonal-naive", "floor", 0.92)


def test_winner_reason_tie_and_cost_in_one_sentence() -> None:
    said = verdict([BEST, LINEAR, FLOOR], [pair("dlinear", "tie"), pair("seasonal-naive", "better")], "mase", WORDS)
    assert said == (
        "Use patchtst: MASE 0.810, 12 % below the best floor (seasonal-naive); tied with dlinear, which is 40 times "
        "smaller: prefer it if size or speed matters; costs 12 s to train (412 k parameters), 3.0 ms per forecast."
    )
    slow = dataclasses.replace(LINEAR, latency_ms=26.0)
    assert "smaller: prefer it if size matters;" in verdict(
        [BEST, slow, FLOOR], [pair("dlinear", "tie")], "mase", WORDS
    )


def test_a_floor_that_wins_is_named_as_one() -> None:
    best = some("seasonal-naive", "floor", 0.7)
    said = verdict([best, BEST], [pair("patchtst", "better", best="seasonal-naive")], "mase", WORDS)
    assert said.startswith("Use seasonal-naive: MASE 0.700, a floor that learns nothing, and nothing that learns did")
    assert said.endswith("it costs nothing to train.")


def test_a_gain_over_the_floor_that_may_be_chance_is_called_so() -> None:
    assert "a difference that may be chance" in verdict([BEST, FLOOR], [pair("seasonal-naive", "tie")], "mase", WORDS)


def test_too_little_data_is_said() -> None:
    ties = [pair(c.id, "too little data to separate", p=None) for c in (LINEAR, FLOOR)]
    said = verdict([BEST, LINEAR, FLOOR], ties, "mase", WORDS)
    assert "there is too little data to separate it from any other" in said
    assert "on too little data to be sure" in said


def test_nobody_scored() -> None:
    assert verdict([], [], "mase", WORDS) == "No candidate could be scored; the board says why for each."
