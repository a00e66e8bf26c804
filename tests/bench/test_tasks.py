"""Tasks say what is asked of them: expressions have the value that plain arithmetic gives, pictures and text are those of the files."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from sequary.bench import tasks
from sequary.bench.tasks import TASKS, listops
from sequary.claims.forecast_gain import DataMissing, shared
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from tests.claims.speech import spoken

NAMES = {11: "min", 12: "max", 13: "med", 14: "sm"}


def med(*x: int) -> int:
    return int(statistics.median(x))


def sm(*x: int) -> int:
    return sum(x) % 10


def written(symbols: list[int]) -> str:
    """As Python would call it."""
    words = [f"{NAMES[s]}(" if s in NAMES else ")," if s == tasks.CLOSE else f"{s - 1}," for s in symbols]
    return "".join(words).rstrip(",")


def test_expressions_have_the_value_that_python_gives_them() -> None:
    rows = listops(300, 0, "train")
    ends = rows.asked.nonzero()[:, 1].tolist()
    assert len(ends) == 300
    for symbols, target, end in zip(rows.values.tolist(), rows.target.tolist(), ends, strict=True):
        found = eval(written(symbols[: end + 1]), {"min": min, "max": max, "med": med, "sm": sm})  # noqa: S307 -- our own digits and names
        assert target[end] == 1 + found
        assert set(symbols[end + 1 :]) <= {tasks.FILLER}


def test_expressions_are_nested_as_deep_as_asked_and_differ_by_purpose() -> None:
    rows = listops(200, 0, "train")
    opened = (rows.values >= 11) & (rows.values < tasks.CLOSE)
    depth = (opened.long() - (rows.values == tasks.CLOSE).long()).cumsum(1).max(1).values
    assert set(depth.tolist()) == {1, 2, 3}
    assert not torch.equal(rows.values, listops(200, 0, "choose").values)
    assert torch.equal(rows.values, listops(200, 0, "train").values)
    shares = torch.bincount(rows.target[rows.asked].long(), minlength=11)[1:] / 200
    assert shares.max() < 0.3  # no answer is right often enough to do without reading


def test_text_to_learn_from_choose_by_and_test_on_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "WINDOW", 16)
    monkeypatch.setattr(tasks, "HELD", 10)
    known, unseen = spoken(monkeypatch, tasks)
    learnt, chosen, tested = (tasks.text(10, 0, purpose) for purpose in ("train", "choose", "test"))
    assert torch.equal(learnt.values[:, 1:], learnt.target[:, :-1])
    assert chosen.values.flatten()[0] == known[-170]
    assert tested.values[0].tolist() == unseen[:16].tolist()
    assert [rows.asked.all().item() for rows in (learnt, chosen, tested)] == [True] * 3


def test_digits_are_read_row_by_row() -> None:
    try:
        shared("mnist10k.npz")
    except DataMissing as reason:
        pytest.skip(str(reason))
    rows = {purpose: tasks.digits(0, 0, purpose) for purpose in ("train", "choose", "test")}
    assert [len(r) for r in rows.values()] == [8000, 1000, 1000]
    test = rows["test"]
    assert test.asked.sum(1).eq(1).all()
    assert set(test.target[:, -1].tolist()) == set(range(tasks.SHADES, TASKS["digits"].vocab))
    assert (
        test.values.float().view(-1, 14, 14)[:, 5:9, 5:9].mean() > 4 * test.values.float().view(-1, 14, 14)[:, 0].mean()
    )


def test_scores_are_said_in_their_units() -> None:
    assert TASKS["recall"].said([0.9, 0.8]) == "85.0 ± 7.1 %"
    assert TASKS["text"].said([-2.0, -2.1]) == "2.050 ± 0.071 bits"


def test_bits_are_those_of_the_softmax() -> None:
    recipe = load("gpt").recipe
    assert recipe is not None
    model = recipe.shrunk().bind({"vocab": 16}).build()
    assert isinstance(model, Model)
    rows = listops(80, 0, "test")
    logits = model.head(model(rows.batch(torch.arange(80))).hidden)
    nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows.target.long().flatten())
    assert -tasks.bits(model, rows) == pytest.approx(nats.item() / math.log(2), rel=1e-5)
