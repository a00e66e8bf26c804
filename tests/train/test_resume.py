"""Killed at any moment and resumed, a run ends bit-identical to one never killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import sequary
from sequary.train import checkpoint, loop
from sequary.train.loop import CHECKPOINT
from tests.train.tiny import STAGE, Rows, same, tiny, weights

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork and SIGKILL")
ROOT = Path(__file__).resolve().parents[2]
Go = Callable[..., int]


@pytest.fixture(scope="module")
def go() -> Iterator[Go]:
    """go(folder, kill=(point, n), after=seconds): the exit status of a run in a process of its own."""
    path = os.pathsep.join([str(ROOT), str(Path(sequary.__file__).parents[1])])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.train.forkserver"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)
    assert server.stdin is not None
    assert server.stdout is not None
    stdin, stdout = server.stdin, server.stdout

    def ask(folder: Path, kill: tuple[str, int] | None = None, after: float | None = None, every: int = 5) -> int:
        print(json.dumps({"folder": str(folder), "kill": kill, "after": after, "every": every}), file=stdin, flush=True)
        return int(stdout.readline())

    yield ask
    stdin.close()
    server.wait(timeout=10)
    stdout.close()


@pytest.fixture(scope="module")
def whole(go: Go, tmp_path_factory: pytest.TempPathFactory) -> checkpoint.Checkpoint:
    """The last checkpoint of a run that nothing disturbed: weights, moments, averages, best, random states, curve."""
    folder = tmp_path_factory.mktemp("whole")
    assert go(folder) == 0
    return checkpoint.load(folder / CHECKPOINT)


def equal(found: checkpoint.Checkpoint, whole: checkpoint.Checkpoint) -> None:
    timing = {"seconds"}
    assert {k: v for k, v in found.facts.items() if k not in timing} == {
        k: v for k, v in whole.facts.items() if k not in timing
    }
    assert same(dict(found.tensors), dict(whole.tensors))


# With a checkpoint every 5 of 40 steps; the first file that is written is the manifest.
MOMENTS = {
    "before the first checkpoint": ("batch", 3),
    "during the write of a checkpoint": ("write", 4),
    "written, not yet renamed": ("before rename", 3),
    "right after the rename": ("renamed", 4),
    "in the middle of an epoch": ("batch", 23),
    "during validation": ("validation", 5),
    "at the last step": ("batch", 40),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_resumed_equals_never_killed(
    go: Go, whole: checkpoint.Checkpoint, tmp_path: Path, moment: str
) -> None:
    assert go(tmp_path, MOMENTS[moment]) == -signal.SIGKILL
    assert go(tmp_path) == 0
    equal(checkpoint.load(tmp_path / CHECKPOINT), whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == [CHECKPOINT, "manifest.json"]


def test_killed_again_and_again(go: Go, whole: checkpoint.Checkpoint, tmp_path: Path) -> None:
    """Each life makes a few steps; where one dies before its next checkpoint, the next repeats them."""
    for n in (2, 8, 9, 12, 7):
        assert go(tmp_path, ("batch", n), every=3) == -signal.SIGKILL
    assert go(tmp_path) == 0
    equal(checkpoint.load(tmp_path / CHECKPOINT), whole)


def test_a_forgotten_generator_would_be_noticed(
    go: Go, whole: checkpoint.Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison can fail: a resume that leaves the random state out ends elsewhere."""
    assert go(tmp_path, ("batch", 23)) == -signal.SIGKILL
    monkeypatch.setattr("sequary.train.resume._set_random", lambda run, states: None)
    loop.fit(tiny(), STAGE, Rows(), Rows(11, seed=1), seed=5, folder=tmp_path)
    found = checkpoint.load(tmp_path / CHECKPOINT)
    assert not torch.equal(
        found.tensors["weights/heads.main.out.weight"], whole.tensors["weights/heads.main.out.weight"]
    )


def test_a_run_that_ended_is_not_run_again(tmp_path: Path) -> None:
    first = loop.fit(tiny(), STAGE, Rows(), Rows(11, seed=1), seed=5, folder=tmp_path)
    rows = Rows()
    again = loop.fit(tiny(3), STAGE, rows, Rows(11, seed=1), seed=5, folder=tmp_path)
    assert rows.calls == 1  # the fingerprint
    assert same(weights(first.model), weights(again.model))
    assert (again.curve, again.steps, again.best_step) == (first.curve, first.steps, first.best_step)


@pytest.mark.slow
def test_fifty_random_moments(go: Go, whole: checkpoint.Checkpoint, tmp_path: Path) -> None:
    """SIGKILL from outside, at a random time of the run; half of the runs are killed a second time."""
    began = time.perf_counter()
    assert go(tmp_path / "timing", every=1) == 0
    lasts = time.perf_counter() - began
    draw = random.Random(0)
    killed = 0
    for n in range(50):
        folder = tmp_path / str(n)
        for _ in range(1 + n % 2):
            killed += go(folder, after=draw.uniform(0, lasts), every=1) == -signal.SIGKILL
        assert go(folder) == 0
        equal(checkpoint.load(folder / CHECKPOINT), whole)
    assert killed >= 40
