"""`sequary edit`, as a user types it: a smaller folder, what it brings, and what is said where it brings nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import sequary
from sequary.cli import edit
from sequary.cli.main import main
from sequary.tasks.language.editing import Changed, Measured
from tests.cli.running import run
from tests.cli.small_language import TEXT, fitted


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fitted(tmp_path_factory.mktemp("made"), "gpt", "gla")
    small = ["--set", "dim=16", "--context", "8", "--steps", "1", "--out", str(folder / "ebt")]
    assert main(["fit", "ebwm-ebt", str(folder / "text.txt"), *small]) == 0
    return folder


@pytest.mark.parametrize("system", ["lorap", "head-pruning-michel"])
def test_half_is_kept_and_the_folder_is_read_by_the_other_commands(
    here: Path, capsys: pytest.CaptureFixture[str], system: str
) -> None:
    words = ["--with", system, "--keep", 0.5, "--data", "text.txt", "--out", "smaller", "--json"]
    status, out, _ = run(capsys, "edit", "gpt", *words)
    facts = json.loads(out)
    assert (status, facts["brings"], facts["judged_by"]) == (0, True, "the last tenth of text.txt")
    before, after = facts["before"], facts["after"]
    assert after["params"] < before["params"]
    assert before["params"] == sequary.load("gpt").fitted.params
    assert after["params"] == sequary.load("smaller").fitted.params
    assert after["bytes"] == sum(path.stat().st_size for path in Path("smaller").iterdir())
    assert after["ms"] > 0
    raw = np.frombuffer(TEXT.encode(), np.uint8)
    held = len(raw) // 10
    again = sequary.load("smaller").bits_per_byte(raw[-held:], raw[:-held])
    assert after["bits_per_byte"] == pytest.approx(again, abs=1e-4)
    assert sequary.load("smaller").fitted.manifest["edits"][0]["system"] == system
    assert run(capsys, "generate", "smaller", "--prompt", "to be", "--n", 20)[0] == 0
    assert run(capsys, "predict", "smaller", "text.txt")[0] == 0


def test_without_a_text_the_model_writes_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "edit", "gpt", "--with", "lorap")
    assert status == 0
    lines = out.splitlines()
    assert [line[:15].rstrip() for line in lines[1:5]] == [
        "parameters",
        "bytes on disk",
        "CPU ms a window",
        "bits per byte",
    ]
    assert lines[5:] == ["judged by 32 windows that the model wrote itself", "gpt-lorap"]


def test_an_edit_that_brings_nothing_is_said_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "edit", "gpt", "--with", "head-pruning-michel", "--keep", 1, "--out", "same")
    assert status == 1
    assert err.startswith("head-pruning-michel brings nothing here: no parameter fewer (")
    assert sequary.load("same").task == "language"


def test_fewer_parameters_bring_nothing_where_neither_time_nor_disk_gains() -> None:
    saved = Measured(params=10, bytes=100, ms=1.0, bits_per_byte=3.0)
    made = Changed(system="s", keep=None, text="t", before=saved, after=saved, fitted=None)  # pyright: ignore[reportArgumentType]
    fewer = dataclasses.replace(saved, params=9)
    assert "neither faster" in str(dataclasses.replace(made, after=fewer).nothing)
    smaller = dataclasses.replace(made, after=dataclasses.replace(fewer, bytes=90, ms=2.0))
    assert smaller.nothing is None
    assert edit.remarks(smaller) == ["s makes the model smaller here, and not faster"]
    assert edit.remarks(dataclasses.replace(made, after=dataclasses.replace(fewer, ms=0.5))) == []


def test_a_smaller_model_is_not_edited_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "edit", "gpt", "--with", "lorap", "--data", "text.txt", "--out", "once")[0] == 0
    for system in ("lorap", "head-pruning-michel"):
        status, _, err = run(capsys, "edit", "once", "--with", system, "--data", "text.txt", "--out", "twice")
        assert (status, "edited before" in err) == (2, True)
    assert not Path("twice").exists()


ERRORS = {
    "--with is missing: name a system that edits, such as lorap": ["gpt"],
    "gpt edits no model; head-pruning-michel, lorap do": ["gpt", "--with", "gpt"],
    "no system 'lorapp'; did you mean lorap": ["gpt", "--with", "lorapp"],
    "--keep 0: the share that stays lies above 0": ["gpt", "--with", "lorap", "--keep", "0"],
    "--keep 1.5: the share": ["gpt", "--with", "lorap", "--keep", "1.5"],
    "--keep half: a number is needed": ["gpt", "--with", "lorap", "--keep", "half"],
    "--keep nan: the share": ["gpt", "--with", "lorap", "--keep", "nan"],
    "of which 6 can go, since each layer keeps one; keep at least 0.25 of them": [
        "gpt", "--with", "head-pruning-michel", "--keep", "0.1", "--data", "text.txt",
    ],
    "keep=0.001 leaves none of 40 channels": ["gpt", "--with", "lorap", "--keep", "0.001", "--data", "text.txt"],
    "lorap does not fit this model: its blocks hold GatedLinearAttention": ["gla", "--with", "lorap"],
    "and no attention with heads to cut": ["gla", "--with", "head-pruning-michel"],
    "this EnergyModel cannot write text to look at; give some by --data TEXT": ["ebt", "--with", "lorap"],
    "which needs a backbone Stack; EnergyModel has": ["ebt", "--with", "lorap", "--data", "text.txt"],
    "this is a model of the task forecast": ["dlinear", "--with", "lorap"],
    "nowhere: no such folder": ["nowhere", "--with", "lorap"],
    "short.txt: the text has 5 bytes": ["gpt", "--with", "lorap", "--data", "short.txt"],
    "nowhere.txt: no such file": ["gpt", "--with", "lorap", "--data", "nowhere.txt"],
    "--out gpt is the model itself": ["gpt", "--with", "lorap", "--out", "gpt"],
}  # fmt: skip


@pytest.mark.parametrize("told", ERRORS)
def test_bad_usage_is_one_line_with_the_mend(here: Path, capsys: pytest.CaptureFixture[str], told: str) -> None:
    status, out, err = run(capsys, "edit", *ERRORS[told])
    assert (status, out, told in err) == (2, "", True), err
    assert err.count("\n") == 1


def test_an_output_that_cannot_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "edit", "gpt", "--with", "lorap", "--out", "text.txt")
    assert (status, "a file has that name" in err) == (3, True)
