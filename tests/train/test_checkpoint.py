from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import sequary
from sequary.core.files import OutputError
from sequary.train import checkpoint, loop
from sequary.train.averaging import tensors
from sequary.train.checkpoint import CheckpointError
from sequary.train.loop import CHECKPOINT, fit
from tests.train.tiny import STAGE, Rows, Tiny, same, tiny

ROOT = Path(__file__).resolve().parents[2]
MEND = "; delete it to start afresh, or choose another folder"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fit(tiny(), STAGE, Rows(), Rows(11, seed=1), seed=5, folder=tmp_path)
    return tmp_path


def refused(folder: Path, model: Tiny | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        fit(model or tiny(), STAGE, Rows(), Rows(11, seed=1), seed=5, folder=folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(folder / CHECKPOINT))
    assert message.endswith(MEND)
    return message.removesuffix(MEND)


def test_it_holds_everything_in_one_file_without_pickle(folder: Path) -> None:
    with safe_open(folder / CHECKPOINT, "pt") as file:  # any reader of safetensors can open it
        names = set(file.keys())
        facts = json.loads(file.metadata()[checkpoint.KEY])
    parameter = "heads.main.out.weight"
    assert {f"{s}/{parameter}" for s in ("weights", "average", "adam/exp_avg", "adam/exp_avg_sq", "adam/step")} <= names
    assert {"best/norm.running_mean", "weights/norm.running_mean", "random/torch", "random/objective"} <= names
    assert facts["step"] == 40
    assert facts["sampler"] == {"epoch": 40 * 8 // 37, "offset": 40 * 8 % 37}
    assert len(facts["curve"]) == 6
    assert facts["best"].keys() == {"value", "step", "waited"}


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_truncated(folder: Path, part: float) -> None:
    raw = (folder / CHECKPOINT).read_bytes()
    (folder / CHECKPOINT).write_bytes(raw[: int(part * len(raw))])
    assert "is truncated or no safetensors file" in refused(folder)


def test_foreign(folder: Path) -> None:
    (folder / CHECKPOINT).write_bytes(b"PK\x03\x04 a zip, as torch.save writes it" * 100)
    assert "is truncated or no safetensors file" in refused(folder)
    save_file({"x": torch.zeros(3)}, folder / CHECKPOINT, metadata={"format": "pt"})
    assert "is a safetensors file of something else" in refused(folder)
    (folder / CHECKPOINT).unlink()
    (folder / CHECKPOINT).mkdir()
    assert "cannot be read (Is a directory)" in refused(folder)


def test_another_model(folder: Path) -> None:
    wider = Tiny(dim=9)
    assert (
        "holds another model: weights/embed.0.weight is torch.float32 [8, 1], expected torch.float32 [9, 1]"
        in refused(folder, wider)
    )
    deeper = tiny()
    deeper.norm.register_buffer("extra", torch.zeros(1))
    assert "section 'weights' lacks 'norm.extra'" in refused(folder, deeper)
    poorer = tiny()
    poorer.norm.num_batches_tracked = None
    assert "section 'weights' has an unknown 'norm.num_batches_tracked'" in refused(folder, poorer)


def test_another_run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    fit(tiny(), STAGE, Rows(), Rows(11, seed=1), seed=6, folder=other)
    (other / CHECKPOINT).replace(folder / CHECKPOINT)
    assert "belongs to another run" in refused(folder)


def test_another_format(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    assert "has format 1, this version reads 2" in refused(folder)


def test_a_tied_tensor_is_kept_once(tmp_path: Path) -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    pair = nn.Sequential(first, second)
    assert list(tensors(pair)) == ["0.weight", "0.bias", "1.bias"]
    checkpoint.save(tmp_path / "a", {"weights": tensors(pair)}, {})
    before = {n: t.detach().clone() for n, t in tensors(pair).items()}
    with torch.no_grad():
        first.weight.zero_()
    checkpoint.load(tmp_path / "a").fill("weights", tensors(pair))
    assert same(tensors(pair), before)


def test_no_room_while_saving_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real RLIMIT_FSIZE: the run stops with one line, the last checkpoint stays, and with room it goes on."""
    pytest.importorskip("resource", reason="RLIMIT_FSIZE exists on POSIX only")
    program = """
import resource, sys
from pathlib import Path
from sequary.core.files import OutputError
from sequary.train import loop
from tests.train.tiny import *
loop.SAVE_SECONDS = 0
def touch(n):
    if n == 9:  # the fingerprint and eight steps
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    loop.fit(tiny(), STAGE, Rows(touch=touch), Rows(11, seed=1), seed=5, folder=Path(sys.argv[1]))
except OutputError as error:
    sys.stdout.write(str(error))
    sys.exit(3)
"""
    path = os.pathsep.join([str(ROOT), str(Path(sequary.__file__).parents[1])])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 3, done.stderr
    assert done.stdout == (
        f"{tmp_path / CHECKPOINT} cannot be written: it would exceed the file size limit; "
        "raise the limit (ulimit -f), or choose another place"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [CHECKPOINT, "manifest.json"]
    assert checkpoint.load(tmp_path / CHECKPOINT).facts["step"] == 7
    resumed = fit(tiny(), STAGE, Rows(), Rows(11, seed=1), seed=5, folder=tmp_path)
    whole = fit(tiny(), STAGE, Rows(), Rows(11, seed=1), seed=5)
    assert same(tensors(resumed.model), tensors(whole.model))
    assert resumed.curve == whole.curve


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot be written: its parent .*run is a file"):
        fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_checkpoints_are_written_by_the_clock_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    save = checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda path, sections, facts: (written.append(facts["step"]), save(path, sections, facts))
    )
    models = []
    for seconds in (0, 1e9):
        monkeypatch.setattr(loop, "SAVE_SECONDS", seconds)
        done = fit(tiny(), STAGE, Rows(), Rows(11, seed=1), seed=5, folder=tmp_path / str(seconds))
        models.append(done.model)
    assert written == [*range(1, 41), 40]
    assert same(tensors(models[0]), tensors(models[1]))
