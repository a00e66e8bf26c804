"""Killed and started again, a comparison continues; started a third time, it gives the same numbers bit for bit.

Steps are given, so that no clock decides what is run.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sequary.compare.ask import Ask
from sequary.compare.footprint import Footprint
from sequary.compare.run import compare, conduct
from sequary.compare.store import Store
from sequary.core.files import OutputError
from tests.compare.sleepers import Sleeper, SleepTask, prepared
from tests.compare.tables import monthly

ASKED = {"horizon": 6, "budget": "100steps", "systems": ["dlinear"], "seeds": 1}
SCRIPT = f"""
import os, signal, sys
from pathlib import Path
from sequary.compare.tasks import forecast
from sequary.compare.run import compare

class Killer:
    def say(self, line): ...
    def stage(self, what, part):
        if list(Path(sys.argv[2]).glob("work/dlinear/rung0-*.json")):
            os.kill(os.getpid(), signal.SIGKILL)

forecast.ordinary = list
compare(sys.argv[1], out=sys.argv[2], tell=Killer(), **{ASKED!r})
"""
"""Dies as soon as the first result of a rung is there."""


@dataclasses.dataclass
class Watcher:
    """What a comparison says, and when files of its work folder were last written, as long as they are there."""

    files: list[Path]
    said: list[str] = dataclasses.field(default_factory=list)
    written: set[tuple[Path, int]] = dataclasses.field(default_factory=set)

    def say(self, line: str) -> None:
        self.said.append(line)

    def stage(self, what: str, part: float) -> None:
        self.written |= {(file, file.stat().st_mtime_ns) for file in self.files}


def numbers(out: Path) -> list[Any]:
    board = json.loads((out / "board.json").read_text())
    kept = ("id", "status", "metrics", "spread", "by_series", "by_fold", "setting", "curve")
    rungs = [[(r["steps"], r["score"], r["kept"]) for r in c["rungs"]] for c in board["candidates"]]
    return [[{k: c[k] for k in kept} for c in board["candidates"]], rungs]


def test_killed_it_continues_and_replayed_it_is_bit_identical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sequary.compare.tasks.forecast.ordinary", list)
    table, out = tmp_path / "table.csv", tmp_path / "out"
    monthly(110).write_csv(table)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, "-c", SCRIPT, str(table), str(out)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    done = {(file, file.stat().st_mtime_ns) for file in (out / "work").glob("*/*.json")}
    plan = json.loads((out / "work" / "plan.json").read_text())
    again = Watcher([file for file, _ in done])
    compare(str(table), out=out, tell=again, **ASKED)
    assert "continues a comparison that was stopped" in again.said[0]
    assert again.written == done  # nothing done is done again
    first = numbers(out)
    assert json.loads((out / "manifest.json").read_text())["plan"]["measured"] == plan["measured"]
    third = Watcher([])
    compare(str(table), out=out, tell=third, **ASKED)
    assert "replays the plan" in third.said[0]
    assert json.loads((out / "manifest.json").read_text())["replayed"]
    assert numbers(out) == first


def test_other_arguments_start_afresh_and_say_which(tmp_path: Path) -> None:
    store = Store(tmp_path, {"data": "a", "horizon": 24})
    assert store.open() is None
    store.freeze({"plans": {}})
    assert Store(tmp_path, {"data": "a", "horizon": 24}).plan() == {"plans": {}}
    other = Store(tmp_path, {"data": "b", "horizon": 48})
    note = other.open() or ""
    assert "other data" in note
    assert "horizon 24, now 48" in note
    assert other.plan() is None


@dataclasses.dataclass(frozen=True)
class Heavy(SleepTask):
    """One of its candidates does not fit into memory as long as a file is there."""

    def footprint(self, entrant: Sleeper, ask: Ask) -> Footprint:
        full = entrant.id == "heavy" and self.trace.with_name("full").exists()
        return Footprint(1, 1e12 if full else 1.0)


def test_what_was_refused_is_decided_anew(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "out", [Sleeper("a", 0.0), Sleeper("heavy", 0.0)], steps=8, seeds=1)
    ready = dataclasses.replace(ready, task=Heavy(tmp_path / "trace"))
    (tmp_path / "full").touch()
    assert {c.id: c.status for c in conduct(ready).candidates} == {"a": "ok", "heavy": "too large"}
    again = Watcher([])
    conduct(ready, again)  # it still is
    assert "replays the plan" in again.said[0]
    (tmp_path / "full").unlink()
    freed = Watcher([])
    board = conduct(ready, freed)
    assert freed.said[0] == "heavy: refused by the plan of an earlier run, but not now: all is planned anew"
    assert {c.id: c.status for c in board.candidates} == {"a": "ok", "heavy": "ok"}
    assert not board.manifest["replayed"]


def test_finished_runs_are_not_run_again(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "out", [Sleeper("a", 0.0)], steps=100, seeds=1)
    conduct(ready)
    ran = (tmp_path / "trace").read_text().splitlines()
    (tmp_path / "trace").unlink()
    board = conduct(ready)  # replays the plan: no measuring, the same runs
    replayed = (tmp_path / "trace").read_text().splitlines()
    assert sorted(replayed) == sorted(ran[4:])  # without the measuring
    assert board.manifest["replayed"]


class Broken(Exception):
    """Of a comparison that ends after its refit."""


def test_a_winner_that_was_refitted_before_the_end_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sequary.compare.tasks.forecast.ordinary", list)
    asked: dict[str, Any] = {**ASKED, "budget": "8steps"}

    def broken(*_: Any) -> None:
        raise Broken

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("sequary.compare.report.write", broken)
        with pytest.raises(Broken):
            compare(monthly(110), out=out, **asked)
    (folder,) = (out / name for name in ("winner", "best-system") if (out / name).exists())
    written = (folder / "contract.json").stat().st_mtime_ns
    compare(monthly(110), out=out, **asked)
    assert (folder / "contract.json").stat().st_mtime_ns == written
    with monkeypatch.context() as patch:
        patch.setattr("sequary.compare.report.write", broken)
        with pytest.raises(Broken):
            compare(monthly(110), out=out, **asked)
    shutil.rmtree(folder)
    compare(monthly(110), out=out, **asked)
    assert (folder / "contract.json").exists()


def test_two_comparisons_do_not_write_into_one_folder(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "out", [Sleeper("a", 0.0)], steps=8, seeds=1)
    holds = f"""
import sys
from sequary.compare.store import Store
from sequary.core.files import OutputError
from pathlib import Path
with Store(Path({str(tmp_path / "out")!r}), {{}}).held():
    print("held", flush=True)
    sys.stdin.read()
"""
    other = subprocess.Popen([sys.executable, "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(
        OutputError, match=r"out: another comparison is writing there; wait for its end, or give another"
    ):
        conduct(ready)
    other.kill()
    other.communicate()
    assert conduct(ready).candidates[0].status == "ok"


def test_names_that_look_alike_as_folders_are_kept_apart(tmp_path: Path) -> None:
    names = ("a/model.py", "a_model.py", "模型一.py", "模型二.py", "gla")
    store = Store(tmp_path, {})
    assert len({store.file(name, "seed0").parent for name in names}) == len(names)
    assert store.file("gla", "seed0").parent.name == "gla"
