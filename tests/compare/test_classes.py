"""Comparisons of classifiers: folds that share nothing, what is measured, and a probe that finds who looks at what it may not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sequary
from sequary.compare.ask import Ask
from sequary.compare.board import Board
from sequary.compare.class_folds import FOLDS, copies, lay, other
from sequary.compare.classifiers import Classifier, ClassifierEntrant, FloorEntrant, Ruled, ordinary
from sequary.compare.options import BadArgument, options
from sequary.compare.prepare import prepare
from sequary.compare.run import compare
from sequary.compare.tasks.classify import ClassifyTask, scored
from sequary.core.catalogue import UnknownSystem
from sequary.data.errors import DataError
from sequary.data.roles import Columns
from sequary.tasks.classify import floors
from sequary.tasks.classify.labelled import Bools, Labelled
from sequary.tasks.classify.reading import read
from sequary.tasks.classify.task import Saved
from tests.tasks.classify.gestures import COLUMNS, own, recorded, table

ASK = Ask(horizon=1)


def given(folder: Path, **changes: Any) -> Any:
    plain = {"horizon": None, "budget": "8steps", "systems": None, "family": None, "metric": None, "levels": ()}
    return options(**{**plain, "max_latency": None, "max_params": None, "seeds": 1, "out": folder / "out", **changes})


@pytest.fixture(scope="module")
def task() -> ClassifyTask:
    data, _ = read(table(90), COLUMNS)
    return ClassifyTask(data, lay(data)[0])


def test_each_series_is_in_one_fold_and_each_fold_has_every_class(task: ClassifyTask) -> None:
    assert (task.count, sorted(set(task.folds.tolist()))) == (FOLDS, list(range(2 * FOLDS)))
    sizes = np.bincount(task.folds)
    assert sizes.tolist() == [5] * FOLDS + [10] * FOLDS
    for fold in task.of("board"):
        assert set(task.data.labels[task.folds == fold]) == {0, 1, 2}


def test_choosing_never_sees_the_board_and_nobody_his_own_fold(task: ClassifyTask) -> None:
    board = task.folds >= task.count
    for fold in range(2 * FOLDS):
        learnt = task.learnt(fold)
        assert not learnt[task.folds == fold].any()
        assert learnt.sum() == (25 if fold < FOLDS else 80)
        if fold < FOLDS:
            assert not learnt[board].any()


@pytest.mark.parametrize(("groups", "count", "board"), [(4, 2, 2), (6, 3, 3), (7, 3, 4), (40, 6, 27)])
def test_groups_are_never_divided(task: ClassifyTask, groups: int, count: int, board: int) -> None:
    data = dataclasses.replace(task.data, groups=tuple(f"s{i % groups}" for i in range(90)))
    folds, rule = lay(data)
    found = ClassifyTask(data, folds)
    assert found.count == count
    of = {name: {int(f) for f, g in zip(folds, data.groups, strict=True) if g == name} for name in data.groups}
    assert all(len(each) == 1 for each in of.values())
    assert sum(next(iter(each)) >= count for each in of.values()) == board
    assert "whole groups" in rule


def test_three_groups_are_too_few(task: ClassifyTask) -> None:
    folds, rule = lay(dataclasses.replace(task.data, groups=tuple("abc"[i // 30] for i in range(90))))
    assert folds.max() + 1 == 2 * FOLDS
    assert "3 groups are too few to leave one out" in rule


class LearnsFromAll(FloorEntrant):
    """The plant: the fold that is told is learnt from."""

    def learn(self, data: Labelled, learnt: Bools, ask: Ask) -> Classifier:
        return FloorEntrant.learn(self, data, np.ones_like(learnt), ask)


class ScalesByAll(FloorEntrant):
    """The plant: labels stay unseen, but the scale comes from all values."""

    def learn(self, data: Labelled, learnt: Bools, ask: Ask) -> Classifier:
        told = floors.Nearest.fit(data.take(learnt))
        shift, size = floors.scale(data)
        return Ruled(dataclasses.replace(told, shift=shift, size=0.1 * size))


class CountsAll(FloorEntrant):
    """The plant: values stay unseen, but the classes of all are counted."""

    def learn(self, data: Labelled, learnt: Bools, ask: Ask) -> Classifier:
        return Ruled(floors.Majority.fit(data))


@pytest.mark.parametrize(
    "plant",
    [
        LearnsFromAll("all", "", floors.Nearest.fit),
        LearnsFromAll("lines", "", floors.Linear.fit),
        ScalesByAll("scale", "", floors.Nearest.fit),
        CountsAll("count", "", floors.Majority.fit),
    ],
)
def test_plants_are_found(task: ClassifyTask, plant: FloorEntrant) -> None:
    data = dataclasses.replace(task.data, labels=np.where(np.arange(90) < 70, task.data.labels, 0))
    found = dataclasses.replace(task, data=data).probe(plant, ASK)
    assert len(found) == 2 * FOLDS
    assert max(found) > 0


@pytest.mark.parametrize("entrant", ordinary(), ids=lambda e: e.id)
def test_no_floor_is_accused(task: ClassifyTask, entrant: FloorEntrant) -> None:
    assert task.probe(entrant, ASK) == [0.0] * 2 * FOLDS


def test_the_probe_changes_every_value_and_class_that_may_not_be_seen(task: ClassifyTask) -> None:
    learnt = task.learnt(8)
    changed = other(task.data, learnt, seed=0)
    assert (changed.labels[~learnt] != task.data.labels[~learnt]).all()
    np.testing.assert_array_equal(changed.labels[learnt], task.data.labels[learnt])
    for old, new, kept in zip(task.data.values, changed.values, learnt, strict=True):
        assert (old is new) if kept else not np.isclose(old[: len(new)], new).any()
    assert (changed.lengths != task.data.lengths).sum() >= (~learnt).sum() // 3


def test_scores() -> None:
    p = np.array([[0.7, 0.3, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
    error, log_loss, f1 = scored(p, np.array([0, 1, 1, 1]))
    assert error == 0.25
    np.testing.assert_allclose(log_loss, -np.log([0.7, 0.8, 0.4, 0.9]).mean())
    np.testing.assert_allclose(f1, 1 - (2 / 3 + 0.8) / 2)
    assert scored(p, np.array([2, 2, 2, 2]))[1] > 30
    assert scored(p * np.nan, np.array([0, 0, 0, 0])) == (np.inf,) * 3


def test_equal_series_are_named(task: ClassifyTask) -> None:
    assert copies(task.data) == []
    twice = dataclasses.replace(task.data, values=(*task.data.values[:-1], task.data.values[0]))
    assert copies(twice)[0].startswith("1 series equal another one")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Board, Path]:
    folder = tmp_path_factory.mktemp("compared")
    data, system, out = recorded(folder), own(folder), folder / "out"
    return compare(str(data), task="classify", systems=[system], budget="8steps", seeds=1, out=out), out


def test_a_whole_comparison(made: tuple[Board, Path]) -> None:
    board, out = made
    assert (board.task, board.metric) == ("classify", "error")
    assert board.floors == ["majority", "nearest-neighbour", "linear"]
    assert {c.status for c in board.candidates} == {"ok"}
    for c in board.candidates:
        assert c.metrics.keys() == {"error", "log_loss", "f1_error"}
        assert c.latency_ms > 0
    assert board.leak.max_shift == 0.0
    assert board.leak.by_fold == [0.0] * len(board.folds)
    assert board.data["groups"] == ["ann", "bo", "cy", "di", "eve"]
    assert "error rate" in (out / "report.html").read_text()


def test_the_best_system_is_saved_and_tells_classes(made: tuple[Board, Path]) -> None:
    board, out = made
    saved = sequary.load(out / board.manifest["refit"]["folder"])
    assert isinstance(saved, Saved)
    assert saved.classes == ("0", "1", "2")


def test_a_system_tries_the_rate_of_its_last_stage() -> None:
    found = ClassifierEntrant("tst-mvts", "TST").settings()
    assert len(found) > 1
    assert all(key.startswith("stages__1__") for setting in found for key in setting)


def test_what_cannot_be_compared_is_refused_with_the_mend(tmp_path: Path) -> None:
    def refused(columns: Columns = COLUMNS, count: int = 60, **changes: Any) -> None:
        prepare(table(count), given(tmp_path, **changes), task="classify", columns=columns)

    with pytest.raises(BadArgument, match="horizon and season say nothing"):
        refused(horizon=3)
    with pytest.raises(BadArgument, match="boards of classifiers rank by error, log_loss, f1_error"):
        refused(metric="mae")
    with pytest.raises(UnknownSystem, match="does not learn to classify"):
        refused(systems=["gpt"])
    with pytest.raises(DataError, match="30 series with a class, 36 are needed"):
        refused(count=30)
    with pytest.raises(DataError, match="name it: --label COLUMN"):
        refused(dataclasses.replace(COLUMNS, label=None))
