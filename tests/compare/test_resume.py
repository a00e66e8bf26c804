"""Killed and started again, a comparison continues; started a third time, it gives the same numbers bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sequary.compare.run import conduct
from sequary.compare.store import Store
from tests.compare.sleepers import Sleeper, prepared
from tests.compare.tables import monthly

SCRIPT = """
import sys
from sequary.compare import prepare
from sequary.compare.run import compare
prepare.ordinary = list  # the whole budget is for the system
compare(sys.argv[1], horizon=6, budget="6s", systems=["dlinear"], seeds=2, out=sys.argv[2])
"""


def start(table: Path, out: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(table), str(out)], env=environment)


def numbers(out: Path) -> list[Any]:
    board = json.loads((out / "board.json").read_text())
    kept = ("id", "status", "metrics", "spread", "by_series", "by_fold", "setting", "curve")
    rungs = [[(r["steps"], r["score"], r["kept"]) for r in c["rungs"]] for c in board["candidates"]]
    return [[{k: c[k] for k in kept} for c in board["candidates"]], rungs]


def test_killed_it_continues_and_replayed_it_is_bit_identical(tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "out"
    monthly().write_csv(table)
    process = start(table, out)
    until = time.monotonic() + 120
    while not list((out / "work").glob("dlinear/rung0-*.json")) and time.monotonic() < until:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {file: file.stat().st_mtime_ns for file in (out / "work").glob("*/*.json")}
    plan = json.loads((out / "work" / "plan.json").read_text())
    assert done
    again = start(table, out)
    time.sleep(0.5)
    assert {f: f.stat().st_mtime_ns for f in done if f.exists()} == done  # nothing done is done again
    assert again.wait(timeout=120) == 0
    first = numbers(out)
    frozen = json.loads((out / "manifest.json").read_text())["plan"]
    assert frozen["measured"] == plan["measured"]
    assert start(table, out).wait(timeout=120) == 0
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


def test_finished_runs_are_not_run_again(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "out", [Sleeper("a", 0.001)], budget=3.0, workers=1)
    conduct(ready)
    ran = (tmp_path / "trace").read_text().splitlines()
    (tmp_path / "trace").unlink()
    board = conduct(ready)  # replays the plan: no measuring, the same runs
    replayed = (tmp_path / "trace").read_text().splitlines()
    assert replayed == ran[-len(replayed) :]
    assert len(ran) - len(replayed) == 4  # the measuring
    assert board.manifest["replayed"]
