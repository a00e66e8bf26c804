"""Comparisons of detectors: labels judge and never teach, and a probe that finds who looks ahead."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import sequary
from sequary.compare.ask import Ask
from sequary.compare.board import Board
from sequary.compare.detectors import DetectorEntrant, ForestEntrant, ResidualEntrant, Told, judged
from sequary.compare.finding import latency
from sequary.compare.folds import Origin
from sequary.compare.options import BadArgument, options
from sequary.compare.prepare import prepare
from sequary.compare.run import compare
from sequary.compare.tasks.detect import DetectTask
from sequary.core.catalogue import UnknownSystem
from sequary.data.errors import DataError
from sequary.data.panel import Floats, Panel
from sequary.data.roles import Columns
from sequary.tasks.detect.floors import Residuals
from sequary.tasks.detect.task import Saved
from tests.tasks.detect.series import SMALL, waves

ASK = Ask(horizon=1)
LABEL = Columns(label="fault")
SYSTEM = """
from sequary.core.catalogue import load
CARD, TUNE, CLAIM = load("anomalybert").card, {}, None
RECIPE = load("anomalybert").recipe.but(**SMALL)
"""


def given(folder: Path, **changes: Any) -> Any:
    plain = {"horizon": None, "budget": "8steps", "systems": None, "family": None, "metric": None, "levels": ()}
    return options(**{**plain, "max_latency": None, "max_params": None, "seeds": 1, "out": folder / "out", **changes})


def own(folder: Path) -> str:
    path = folder / "small.py"
    path.write_text(SYSTEM.replace("SMALL", repr(SMALL)))
    return str(path)


def test_levels_say_nothing_to_detectors(folder: Path) -> None:
    with pytest.raises(BadArgument, match=r"levels=\[0.8\]: detectors give no intervals; leave them out"):
        prepare(str(folder / "w.csv"), given(folder, levels=(0.8,)), task="detect", columns=LABEL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("detectors")
    waves().write_csv(made / "w.csv")
    return made


@pytest.fixture(scope="module")
def task(folder: Path) -> DetectTask:
    ready = prepare(str(folder / "w.csv"), given(folder), task="detect", columns=LABEL)
    assert isinstance(ready.task, DetectTask)
    return ready.task


class LearnsAll(ResidualEntrant):
    """The plant: its usual size and its threshold come from the whole table."""

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Told:
        return judged(panel, self.floor.learn)


@dataclasses.dataclass(frozen=True, slots=True)
class Ahead:
    """A score that is the change to a later step."""

    steps: int

    def scores(self, panel: Panel) -> list[Floats]:
        found = [np.full(len(s), np.nan) for s in panel.series]
        for score, series in zip(found, panel.series, strict=True):
            score[: -self.steps] = np.abs(series.values[self.steps :, 0] - series.values[: -self.steps, 0])
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class LooksAhead(ResidualEntrant):
    """The plant: each score depends on 5 later steps, and it states fewer."""

    states: int = 4

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Told:
        return Told(Ahead(5), 1.0, delay=self.states)


NAMED: tuple[Any, ...] = ("x", "X", Residuals())


@pytest.mark.parametrize("plant", [LearnsAll(*NAMED), LooksAhead(*NAMED)])
def test_plants_are_found(task: DetectTask, plant: Any) -> None:
    found = task.probe(plant, ASK)
    assert len(found) == 2
    assert min(found) > 0


@pytest.mark.parametrize("entrant", [ResidualEntrant(*NAMED), ForestEntrant(), LooksAhead(*NAMED, states=5)])
def test_nobody_else_is_accused(task: DetectTask, entrant: Any) -> None:
    assert task.probe(entrant, ASK) == [0.0, 0.0]


def test_a_system_moves_by_nothing(task: DetectTask, folder: Path) -> None:
    entrant = DetectorEntrant(own(folder), "small")
    assert task.probe(entrant, ASK.but(setting={"context": 16})) == [0.0, 0.0]


def test_no_label_is_in_what_entrants_are_handed(task: DetectTask) -> None:
    assert task.panel.channels == ("a", "b")
    assert task.panel.past == task.panel.static == task.panel.future == ()
    assert sum(int(one.sum()) for one in task.labels) == 24


def test_settings_are_chosen_before_the_board(task: DetectTask) -> None:
    choice, stops = task.block("choice")
    board, ends = task.block("board")
    assert (choice.rows, stops, board.rows, ends) == ((192,), (288,), (288,), (480,))
    early = waves().with_columns(pl.when(pl.int_range(pl.len()) > 190).then(0).otherwise("fault").alias("fault"))
    assert early["fault"].sum() == 0


def test_the_choice_begins_earlier_where_that_brings_it_an_event(folder: Path) -> None:
    row = pl.int_range(pl.len())
    moved = waves().with_columns(fault=(row == 120) | (row == 400))
    ready = prepare(moved, given(folder), task="detect", columns=LABEL)
    assert [o.rows for o in ready.task.origins] == [(96,), (288,)]  # pyright: ignore[reportAttributeAccessIssue]
    none = prepare(moved.with_columns(fault=row == 400), given(folder), task="detect", columns=LABEL)
    assert "no event to choose settings by: they are chosen by false alarms alone" in none.lines


def test_a_perfect_detector_has_no_error(task: DetectTask) -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Oracle:
        labels: Any

        def scores(self, panel: Panel) -> list[Floats]:
            return [label[: len(s)].astype(float) for label, s in zip(self.labels, panel.series, strict=True)]

    @dataclasses.dataclass(frozen=True, slots=True)
    class Knows(ResidualEntrant):
        def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Told:
            return Told(Oracle(task.labels), 0.5)

    found = task.run(Knows(*NAMED), "board", ASK).means()
    assert found == {"event_error": 0, "order_error": 0, "missed": 0, "alarms_week": 0, "delay": 0}
    floor = task.run(ResidualEntrant("last", "Last", Residuals(1)), "board", ASK).means()
    assert floor["order_error"] < 0.1  # jumps are what it sees
    assert floor["missed"] == 0.5  # its threshold is high: a fault lies in what it was held out from


def test_false_alarms_are_counted_by_the_week_where_there_are_weeks(folder: Path) -> None:
    ready = prepare(waves().with_columns(time=pl.int_range(480)), given(folder), task="detect", columns=LABEL)
    found = ready.task.run(ResidualEntrant(*NAMED), "board", ASK).means()
    assert "alarms_1000" in found
    assert [e.id for e in ready.entrants][:2] == ["last-value-residuals", "isolation-forest"]  # no season


def test_only_the_last_rows_of_a_long_table_are_timed(folder: Path) -> None:
    long, seen = prepare(waves(700), given(folder), task="detect", columns=LABEL), list[int]()

    class Counts:
        def scores(self, panel: Panel) -> list[Floats]:
            seen.append(len(panel.series[0].past))
            return [np.zeros(len(s)) for s in panel.series]

    assert isinstance(long.task, DetectTask)
    assert latency(Told(Counts(), 1.0), long.task.panel) >= 0
    assert seen == [512, 512]


@pytest.fixture(scope="module")
def made(folder: Path) -> tuple[Board, Path]:
    out = folder / "report"
    return compare(
        str(folder / "w.csv"), task="detect", systems=[own(folder)], budget="30steps", seeds=1, out=out, columns=LABEL
    ), out


def test_a_whole_comparison(made: tuple[Board, Path]) -> None:
    board, out = made
    assert (board.task, board.metric) == ("detect", "event_error")
    assert board.floors == ["seasonal-residuals", "last-value-residuals"]
    assert {c.status for c in board.candidates} == {"ok"}
    assert len(board.candidates) == 4
    for c in board.candidates:
        assert c.metrics.keys() == {"event_error", "order_error", "missed", "alarms_week", "delay"}
        assert c.latency_ms > 0
    assert board.leak.max_shift == 0.0
    assert board.leak.by_fold == [0.0, 0.0]
    assert "1 − F1 of events" in (out / "report.html").read_text()
    assert json.loads((out / "board.json").read_text())["data"]["label"] == "fault: 24 rows"


def test_the_best_system_is_saved_and_detects(made: tuple[Board, Path]) -> None:
    board, out = made
    saved = sequary.load(out / board.manifest["refit"]["folder"])
    assert isinstance(saved, Saved)
    assert saved.detect(waves()).columns[-2:] == ["score", "anomaly"]


def test_what_cannot_be_compared_is_refused_with_the_mend(folder: Path) -> None:
    def refused(frame: pl.DataFrame, columns: Columns = LABEL, **changes: Any) -> None:
        prepare(frame, given(folder, **changes), task="detect", columns=columns)

    with pytest.raises(BadArgument, match="name the column that is 1 at anomalies by --label"):
        refused(waves(), Columns())
    with pytest.raises(BadArgument, match="horizon=3 says nothing to detectors"):
        refused(waves(), horizon=3)
    with pytest.raises(BadArgument, match="boards of detectors rank by event_error, order_error"):
        refused(waves(), metric="mae")
    with pytest.raises(DataError, match="there is no column 'flaw'; the file has"):
        refused(waves(), Columns(label="flaw"))
    with pytest.raises(DataError, match=r"column 'fault': the label holds 2; write 1 where a row is an anomaly"):
        refused(waves().with_columns(fault=2 * pl.col("fault")))
    words = pl.when(pl.col("fault") == 1).then(pl.lit("bad")).otherwise(pl.lit("good")).alias("fault")
    with pytest.raises(DataError, match=r"column 'fault': the label holds words \('bad', 'good'\)"):
        refused(waves().with_columns(words))
    with pytest.raises(DataError, match="no row of the last 40 % is labelled 1"):
        refused(waves().with_columns(fault=pl.lit(0)))
    with pytest.raises(DataError, match="60 steps, of which 24 would be learnt from; give at least 80 steps"):
        refused(waves()[200:260].with_columns(fault=pl.int_range(60) > 50))
    with pytest.raises(UnknownSystem, match="does not learn scores of anomalies; try anomalybert"):
        refused(waves(), systems=["dlinear"])
