"""Whole comparisons on small tables: what is on the board, what is written, and who fails without stopping the rest.

Their budget is in steps: what is run does not depend on how fast the machine is.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import sequary
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Board, Candidate
from sequary.compare.footprint import Footprint
from sequary.compare.measure import Limits
from sequary.compare.options import BadArgument, roles
from sequary.compare.report import json_text
from sequary.compare.run import compare, conduct
from sequary.compare.systems import select
from sequary.core.catalogue import UnknownSystem
from sequary.core.files import OutputError
from sequary.data.errors import DataError
from sequary.data.roles import Columns
from tests.compare.sleepers import Sleeper, SleepTask, prepared
from tests.compare.tables import monthly, own

FRAME, SMALL = monthly(), monthly(110)


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Board, Path]:
    """One comparison with everything that can go wrong with a candidate."""
    folder = tmp_path_factory.mktemp("run")
    files = [
        own(folder, "mine.py", "pass"),
        own(folder, "raises.py", "raise RuntimeError('no such thing')"),
        own(folder, "dies.py", "os.kill(os.getpid(), 9)"),
        own(folder, "unbound.py", "pass", horizon="weather"),
        own(folder, "nan.py", "return self.map(hidden[:, :, 0]).transpose(1, 2) / (0.0 if not self.training else 1.0)"),
    ]
    out = folder / "out"
    board = compare(SMALL, horizon=6, budget="100steps", systems=["dlinear", *files], seeds=2, out=out)
    return board, out


def of(board: Board, name: str) -> Candidate:
    return next(c for c in board.candidates if c.id.endswith(name))


def test_floors_and_rivals_are_always_there(made: tuple[Board, Path]) -> None:
    ids = [c.id for c in made[0].candidates]
    assert made[0].floors == ["last-value", "seasonal-naive", "drift"]
    assert {*made[0].floors, "gradient-boosting", "dlinear"} <= set(ids)
    assert of(made[0], "seasonal-naive").metrics["mase"] < of(made[0], "last-value").metrics["mase"]


def test_a_users_own_file_works_in_a_worker(made: tuple[Board, Path]) -> None:
    mine = of(made[0], "mine.py")
    assert mine.status == "ok"
    assert mine.params > 0


@pytest.mark.parametrize(
    ("name", "words"),
    [("raises.py", "RuntimeError: no such thing (raises.py, line"), ("dies.py", "killed by signal 9"), ("nan.py", "")]
    + [("unbound.py", "weather, which these series do not tell")],
)
def test_a_crash_is_reported_and_stops_nobody(made: tuple[Board, Path], name: str, words: str) -> None:
    broken = of(made[0], name)
    assert broken.status == "crashed"
    assert words in (broken.error or "")
    assert broken.metrics == {}
    assert broken in made[0].candidates[-4:]


def test_numbers_hang_together(made: tuple[Board, Path]) -> None:
    board = made[0]
    scored = [c for c in board.candidates if c.metrics]
    assert [c.metrics["mase"] for c in scored] == sorted(c.metrics["mase"] for c in scored)
    judged = [f for f in board.folds if f.role == "board"]
    for c in scored:
        assert len(c.by_fold) == len(judged)
        assert math.isclose(float(np.mean(c.by_fold)), c.metrics["mase"], rel_tol=1e-9)
        assert 0 <= c.metrics["coverage_80"] <= c.metrics["coverage_95"] <= 1
        assert c.latency_ms > 0
    trained = of(board, "dlinear")
    assert [r.steps for r in trained.rungs] == [25] * 4 + [50] * 2 + [100]
    assert trained.curve
    assert trained.spread["mase"].keys() == {"seeds", "folds"}
    assert [p.other for p in board.ties] == [c.id for c in scored[1:]]


def test_the_probe_ran_on_every_fold_for_everyone_that_ran(made: tuple[Board, Path]) -> None:
    board = made[0]
    ran = [c for c in board.candidates if c.metrics]
    assert board.leak.max_shift == 0.0
    assert board.leak.by_fold == [0.0] * len(board.folds)
    assert board.leak.probed >= len(ran) * len(board.folds)


def test_the_outputs_say_the_same(made: tuple[Board, Path]) -> None:
    board, out = made
    assert (out / "board.json").read_text() == json_text(board)
    with (out / "board.csv").open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == [c.id for c in board.candidates]
    assert board.verdict.split(":")[0].split("/")[-1] in (out / "report.html").read_text()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["plan"]["plans"]["dlinear"]["steps"] == 100
    assert not (out / "work").exists()


def test_the_winner_forecasts_what_follows_the_data(made: tuple[Board, Path]) -> None:
    board, out = made
    refit = board.manifest["refit"]
    assert refit["candidate"] == next(c.id for c in board.candidates if c.kind == "system")
    if refit["error"] is None:
        won = board.candidates[0].id == refit["candidate"]
        assert refit["folder"] == ("winner" if won else "best-system")
        found = sequary.load(out / refit["folder"]).predict(SMALL)
        assert len(found) == 6
        assert found["ds"].min() > SMALL["ds"].max()
    else:  # a part of the user's own file cannot be written as data, and that is said
        assert refit["candidate"].endswith("mine.py")
        assert "RecipeError" in refit["error"]


def test_limits_are_kept_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sequary.compare.tasks.forecast.ordinary", list)
    board = compare(
        SMALL, horizon=6, budget="8steps", systems=["dlinear", "nlinear"], seeds=1, max_params=200, out=tmp_path / "out"
    )
    assert of(board, "nlinear").status == "ok"
    assert of(board, "dlinear").status == "over parameters"
    assert "--max-params is 200" in (of(board, "dlinear").error or "")


def test_a_system_takes_part_once_however_often_it_is_named() -> None:
    ids = [name for name, _ in select(["dlinear", "ltsf-linear", "nlinear"], None, task="forecast", default=())]
    assert ids == ["dlinear", "nlinear"]


@dataclasses.dataclass(frozen=True)
class Peeks(SleepTask):
    """One of its candidates sees the future."""

    def probe(self, entrant: Sleeper, ask: Ask) -> list[float]:
        return [0.0, 0.25, 0.0] if entrant.id == "peeks" else [0.0] * 3


def test_a_candidate_whose_forecasts_move_says_so_and_cannot_win(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "out", [Sleeper("peeks", 0.0), Sleeper("honest", 0.0)], steps=8, seeds=1)
    board = conduct(dataclasses.replace(ready, task=Peeks(tmp_path / "trace")))
    assert [c.id for c in board.candidates] == ["honest", "peeks"]
    peeks = of(board, "peeks")
    assert (peeks.status, peeks.metrics) == ("leak", {})
    assert "move by up to 0.25" in (peeks.error or "")
    assert board.manifest["refit"]["candidate"] == "honest"
    assert board.leak.max_shift == 0.25


@dataclasses.dataclass(frozen=True)
class Fails(SleepTask):
    """One of its candidates cannot be probed."""

    def probe(self, entrant: Sleeper, ask: Ask) -> list[float]:
        if entrant.id == "a":
            raise ValueError("Input contains NaN")
        return [0.0] * 3


def test_a_candidate_that_cannot_be_probed_cannot_win(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "out", [Sleeper("a", 0.0), Sleeper("honest", 0.0)], steps=8, seeds=1)
    board = conduct(dataclasses.replace(ready, task=Fails(tmp_path / "trace")))
    assert (of(board, "a").status, of(board, "a").metrics) == ("crashed", {})
    assert "its leak probe failed: ValueError: Input contains NaN" in (of(board, "a").error or "")
    assert board.manifest["refit"]["candidate"] == "honest"


@dataclasses.dataclass(frozen=True)
class Sized(SleepTask):
    """The more, the higher the rate; and slower than it was measured."""

    def footprint(self, entrant: Sleeper, ask: Ask) -> Footprint:
        return Footprint(int(1000 * ask.setting["lr"]), 1.0)

    def run(self, entrant: Sleeper, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        outcome = super().run(entrant, role, ask, drawn)
        return dataclasses.replace(outcome, latency_ms=1.0 if role == "choice" else 20.0)


@pytest.mark.parametrize(
    ("limits", "status", "tried"),
    [
        (Limits(params=250), "ok", {0.1, 0.2}),
        (Limits(params=50), "over parameters", set()),
        (Limits(latency_ms=5.0), "too slow", {0.1, 0.2, 0.3, 0.4}),
    ],
)
def test_a_limit_holds_for_each_setting_and_for_what_is_scored(
    tmp_path: Path, limits: Limits, status: str, tried: set[float]
) -> None:
    ready = prepared(tmp_path / "out", [Sleeper("a", 0.0)], steps=100, seeds=1)
    given = dataclasses.replace(ready.options, limits=limits)
    (made,) = conduct(dataclasses.replace(ready, options=given, task=Sized(tmp_path / "trace"))).candidates
    assert made.status == status
    assert {rung.setting["lr"] for rung in made.rungs} == tried


def test_a_floor_takes_part_however_slow_it_is(tmp_path: Path) -> None:
    floor = Sleeper("f", 0.0, kind="floor", trained=False, seeded=False)
    ready = prepared(tmp_path / "out", [floor], steps=8, seeds=1)
    given = dataclasses.replace(ready.options, limits=Limits(latency_ms=5.0))
    (made,) = conduct(dataclasses.replace(ready, options=given, task=Sized(tmp_path / "trace"))).candidates
    assert (made.status, made.latency_ms) == ("ok", 20.0)


def test_what_is_finite_in_one_metric_only_has_failed() -> None:
    whole = {"mase": [[0.5, 0.7]], "crps": [[0.4, math.inf]]}
    assert Outcome(losses=whole).failed() == "1 of 2 answers are not finite, or too large for crps"
    assert Outcome(losses={"mase": [[0.5, math.nan]]}).failed() is None


def test_what_does_not_fit_into_memory_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    from sequary.compare import footprint, measure
    from sequary.compare.folds import make
    from sequary.compare.systems import SystemEntrant
    from sequary.compare.tasks.forecast import ForecastTask
    from sequary.data.tables import understand

    panel, _ = understand(FRAME)
    task, entrant = ForecastTask(panel, make(panel, 6)), SystemEntrant("itransformer", "")
    ask = Ask(horizon=6, levels=(0.8,))
    size = task.footprint(entrant, ask.but(setting={}))
    assert size.memory_mb > size.params * 16 / 2**20
    wide = task.footprint(entrant, ask.but(setting={"stages__0__train__batch": 64}))
    assert wide.memory_mb > size.memory_mb  # activations grow with the batch
    for module in (footprint, measure):
        monkeypatch.setattr(module, "free_mb", lambda: 1.0)
    found = measure.measured(task, entrant, ask, measure.Limits())
    assert found["refused"][0] == "too large"
    assert "1 MB are free" in found["refused"][1]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"horizon": 0}, BadArgument, "horizon=0"),
        ({"horizon": -3}, BadArgument, "horizon=-3"),
        ({"horizon": None}, BadArgument, "how far ahead"),
        ({"horizon": 90}, DataError, "180 are needed|too few to backtest"),
        ({"horizon": 120}, DataError, "^dataframe: no series is long enough"),
        ({"season": 0}, BadArgument, "season=0"),
        ({"season": 200}, BadArgument, "season=200: the longest series of dataframe has 200 steps"),
        ({"columns": {"times": "ds"}}, BadArgument, r"columns=.*time, id, target.*such as"),
        ({"columns": {"time": ["ds"]}}, BadArgument, "is not one name"),
        ({"columns": "ds"}, BadArgument, "give names by role"),
        ({"systems": ["patchtsd"]}, UnknownSystem, "did you mean patchtst"),
        ({"systems": ["gla"]}, UnknownSystem, "LanguageModel does not forecast; try "),
        ({"family": "poetry", "systems": None}, UnknownSystem, "no built system of family 'poetry'"),
        ({"metric": "rmsle"}, BadArgument, "mase, mae, mse, crps"),
        ({"budget": "soon"}, BadArgument, "5m or 1h30m"),
        ({"budget": "3steps"}, BadArgument, "give 8steps or more"),
        ({"seeds": 0}, BadArgument, "seeds=0"),
        ({"levels": (80,)}, BadArgument, "between 0 and 1"),
        ({"task": "poetry"}, BadArgument, "there are classify, detect, forecast"),
    ],
)
def test_nonsense_is_refused_with_the_mend(
    change: dict[str, object], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        compare(FRAME, **{"horizon": 6, "systems": ["dlinear"], "out": tmp_path / "out", **change})
    assert not (tmp_path / "out").exists()


def test_columns_are_given_by_role() -> None:
    assert roles({"time": "t", "target": "y", "future": ["a", "b"]}) == Columns(
        time="t", target=("y",), future=("a", "b")
    )
    assert roles(Columns(time="t")) == Columns(time="t")


def test_a_season_that_is_given_scales_errors_and_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole-number times have none of their own: without it the seasonal floor is the last value."""
    monkeypatch.setattr("sequary.compare.tasks.forecast.ordinary", list)
    table = pl.DataFrame({"t": range(110), "y": SMALL["y"]})
    words = {"horizon": 6, "budget": "8steps", "systems": ["nlinear"], "seeds": 1}
    plain = compare(table, **words, out=tmp_path / "plain")
    board = compare(table, **words, out=tmp_path / "season", season=12)
    naive = {name: of(b, "seasonal-naive").metrics for name, b in (("plain", plain), ("season", board))}
    assert naive["plain"]["mae"] == of(plain, "last-value").metrics["mae"]
    assert naive["season"]["mae"] < 0.5 * naive["plain"]["mae"]
    assert of(board, "last-value").metrics["mae"] == of(plain, "last-value").metrics["mae"]
    assert of(board, "last-value").metrics["mase"] > 1.4 * of(plain, "last-value").metrics["mase"]
    assert "season 12" in board.data["frequency"]


NO_TABLE = "is a text: it has no columns and no season"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"columns": {"time": "ds"}}, NO_TABLE),
        ({"season": 12}, NO_TABLE),
        ({"levels": (0.9,)}, "language models give no intervals"),
    ],
)
def test_what_only_tables_have_is_refused_for_a_text(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    (tmp_path / "a.txt").write_text("to be or not to be, that is the question. " * 50)
    with pytest.raises(BadArgument, match=words):
        compare(tmp_path / "a.txt", out=tmp_path / "out", **change)


def test_a_folder_of_other_files_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="holds something else"):
        compare(FRAME, horizon=6, systems=["dlinear"], out=tmp_path)
    with pytest.raises(OutputError, match="holds something else"):  # whoever comes by another way
        conduct(prepared(tmp_path, [Sleeper("a", 0.0)], steps=8))
    assert (tmp_path / "work" / "thesis.tex").read_text() == "mine"


def test_an_output_whose_parent_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError, match=r"its parent .*file is a file"):
        compare(FRAME, horizon=6, systems=["dlinear"], out=tmp_path / "file" / "out")
