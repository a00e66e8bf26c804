"""`sequary fit` on images and `sequary generate`, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from sequary.cli import generate
from sequary.cli.main import main
from sequary.deploy.library import compiler
from sequary.tasks.language.generation import Checked, Written
from tests.cli.running import run
from tests.tasks.generate.bars import CLASSES, bars, own, written

TEXT = "to be or not to be, that is the question. " * 60
SMALL = ["--set", "dim=16", "--set", "model__backbone__depth=1", "--context", "16"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of images, three language models, a forecaster, and data."""
    folder = tmp_path_factory.mktemp("made")
    data, text = written(folder), folder / "text.txt"
    text.write_text(TEXT)
    (folder / "table.csv").write_text("date,y\n" + "\n".join(f"2024-01-{d:02},{d % 7}" for d in range(1, 31)))
    several = folder / "several.py"
    several.write_text(
        "from sequary.systems.text.blockwise_parallel_decoding import RECIPE as WHOLE\nRECIPE = WHOLE.but(dim=32)\n"
    )
    for words in (
        [own(folder, "var"), data, "--out", folder / "var", "--steps", 3],
        [several, text, "--out", folder / "several", "--steps", 20, *SMALL, "--set", "stages__0__train__batch=4"],
        ["gpt", text, "--out", folder / "gpt", "--steps", 2, *SMALL],
        ["ebwm-ebt", text, "--out", folder / "ebt", "--steps", 1, "--context", 8, "--set", "dim=16"],
        ["dlinear", folder / "table.csv", "--out", folder / "dlinear", "--steps", 2, "--horizon", 2],
    ):
        assert main(["fit", *map(str, words)]) == 0
    return folder


def test_a_picture_of_one_class(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "generate", "var", "--class", "down", "--n", 4, "--out", "grid.png")
    assert (status, out, err) == (0, "4 images\ngrid.png\n", "")
    side = 10 * 6
    assert imread("grid.png").shape == (2 * side + 10, 2 * side + 10)


def test_a_column_for_each_class_by_default(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "generate", "var", "--n", 6)[1] == "6 images\ngenerated.png\n"
    assert imread("generated.png").shape == (2 * 60 + 10, 3 * 60 + 2 * 10)


def test_arrays_that_are_read_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "generate", "var", "--n", 21, "--seed", 2, "--out", "more.npz", "--json")
    assert (status, json.loads(out)) == (0, {"out": "more.npz", "images": 21, "shape": [6, 6]})
    with np.load("more.npz") as found:
        assert found["images"].shape == (21, 6, 6)
        assert found["labels"].tolist() == [*CLASSES] * 7
    assert run(capsys, "fit", "tiny_var.py", "more.npz", "--steps", 1, "--out", "again")[0] == 0


def test_fit_says_what_it_saw_and_what_the_tokenizer_keeps(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "fit", "tiny_var.py", "bars.npz", "--steps", 2, "--out", "m")
    assert status == 0, err
    first, second, third, fourth = out.splitlines()
    assert first == "bars.npz: 60 grey images of 6 × 6 pixels, 3 classes; a tenth is held out"
    assert second.startswith("tokenizer: reconstruction error 0.")
    assert "on 6 held-out images" in second
    assert third.startswith("tiny_var.py: ")
    assert fourth == "m"


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")
def test_compiled_steps_write_the_same_text(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(here))
    words = ["generate", "gpt", "--prompt", "to be", "--n", 30, "--seed", 4]
    plain, fast = (run(capsys, *words, *more) for more in ((), ("--compile",)))
    assert fast[:2] == plain[:2]
    status, _, err = run(capsys, "generate", "several", "--compile")
    assert status == 2
    assert "--decode blockwise takes more" in err
    assert run(capsys, "generate", "var", "--compile")[0] == 2


def test_text_on_standard_output_and_its_cost_beside(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(
        capsys, "generate", "gpt", "--prompt", "to be", "--n", 30, "--temperature", 0.5, "--top-k", 9
    )
    assert status == 0
    assert out.startswith("to be")
    assert err.startswith("stepwise: 30 bytes in 30 model calls, ")
    status, out, _ = run(capsys, "generate", "gpt", "--prompt", "ö", "--n", 3, "--json")
    facts = json.loads(out)
    assert facts["text"].startswith("ö")
    assert (facts["decode"], facts["calls"], facts["bytes"]) == ("stepwise", 3, 3)
    assert run(capsys, "generate", "gpt", "--n", 5, "--out", "said.txt")[1] == "said.txt\n"
    assert len(Path("said.txt").read_bytes()) == 1 + 5


def test_blockwise_is_its_systems_own_and_is_checked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "generate", "several", "--prompt", "to be", "--n", 40, "--check")
    assert status == 0, err
    fast, slow = err.splitlines()
    assert fast.startswith("blockwise: 40 bytes in ")
    assert slow.startswith("stepwise: 40 bytes in 40 model calls, ")
    assert slow.endswith("; the texts are equal")
    status, again, _ = run(capsys, "generate", "several", "--prompt", "to be", "--n", 40, "--check", "--json")
    facts = json.loads(again)
    assert facts["equal"] is True
    assert facts["differs"] is None
    assert facts["calls"] < facts["stepwise"]["calls"] == 40


def test_a_text_that_differs_is_a_failed_check(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (Written(b"a", raw, "blockwise", 2, 1.0) for raw in (b"bcd", b"bxd"))
    assert generate.text(one, Checked(one, other), None, as_json=False) == 1
    assert "DIFFER from new byte 1 on" in capsys.readouterr().err
    assert generate.text(one, Checked(one, other), None, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["differs"] == 1


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    assert generate.shown("a\x1b[2J\r\n\tö") == "a\ufffd[2J\ufffd\n\tö"


ERRORS = {
    "n=0: at least one image": ["var", "--n", "0"],
    "n=-1: at least one image": ["var", "--n", "-1"],
    "--n 1.5: a whole number is needed": ["var", "--n", "1.5"],
    "--class up: the model's classes are across, down, slant": ["var", "--class", "up"],
    "--out grid.jpg: images are written as .png or .npz": ["var", "--out", "grid.jpg"],
    "--temperature hot: a number is needed": ["var", "--temperature", "hot"],
    "--temperature -1: a finite number of at least 0": ["var", "--temperature", "-1"],
    "--guidance inf: a finite number is needed": ["var", "--guidance", "inf"],
    "--top-k -2: a finite number of at least 0": ["gpt", "--top-k", "-2"],
    "--prompt says nothing to a model of images": ["var", "--prompt", "x"],
    "--decode says nothing to a model of images": ["var", "--decode", "beam"],
    "--check says nothing to a model of images": ["var", "--check"],
    "--class says nothing to a model of a text": ["gpt", "--class", "down"],
    "--guidance says nothing to a model of a text": ["gpt", "--guidance", "2"],
    "n=0: at least one byte": ["gpt", "--n", "0"],
    "--prompt is empty": ["gpt", "--prompt", ""],
    "--decode fast: a text is written stepwise, blockwise, beam": ["gpt", "--decode", "fast"],
    "needs heads that look further ahead, and this LanguageModel has only 1": ["gpt", "--decode", "blockwise"],
    "--temperature has no effect on --decode blockwise": ["several", "--temperature", "0.5"],
    "--top-k has no effect on --decode beam": ["gpt", "--decode", "beam", "--top-k", "3"],
    "--check compares what is written in blocks": ["gpt", "--check"],
    "this EnergyModel has no recurrent form": ["ebt"],
    "dlinear is a model of the task forecast; generate is for": ["dlinear"],
    "nowhere: no such folder": ["nowhere"],
}


@pytest.mark.parametrize("told", ERRORS)
def test_bad_usage_is_one_line_with_the_mend(here: Path, capsys: pytest.CaptureFixture[str], told: str) -> None:
    status, out, err = run(capsys, "generate", *ERRORS[told])
    assert (status, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert not Path("generated.png").exists()


def bad(name: str) -> dict[str, object]:
    images, labels = bars()
    return {
        "float": {"images": images / 255.0, "labels": labels},
        "flat": {"images": images.reshape(60, 36), "labels": labels},
        "short": {"images": images, "labels": labels[:-1]},
        "few": {"images": images[:5], "labels": labels[:5]},
        "other": {"pixels": images},
        "large": {"images": images.repeat(6, 1).repeat(6, 2), "labels": labels},
    }[name]


DATA = {
    "float": "has dtype float64",
    "flat": "array 'images' has shape (60, 36)",
    "short": "array 'labels' has shape (59,) for 60 images",
    "few": "5 images",
    "other": "no array 'images' among ['pixels']",
    "large": "images of 36 × 36 pixels do not fit the model's 28 × 28",
}


@pytest.mark.parametrize("name", DATA)
def test_bad_images_are_one_line_with_the_mend(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    np.savez("bad.npz", **bad(name))  # pyright: ignore[reportArgumentType]  # arrays by name
    status, _, err = run(capsys, "fit", "var", "bad.npz")
    assert status == 2
    assert DATA[name] in err
    assert err.count("\n") == 1


def test_what_is_no_npz_and_what_says_nothing_to_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.npz").write_text("no arrays")
    for words, told in (
        (["text.npz"], "text.npz: not a readable .npz"),
        (["nowhere.npz"], "nowhere.npz: no such file"),
        (["text.txt"], "var learns from images (an .npz, or a folder of class folders), which text.txt is not"),
        (["bars.npz", "--horizon", 3], "--horizon says nothing to generate models"),
        (["bars.npz", "--context", 3], "--context says nothing to generate models"),
    ):
        status, _, err = run(capsys, "fit", "var", *words)
        assert (status, told in err) == (2, True), err


def test_an_output_that_cannot_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model, out in (("var", "bars.npz/grid.png"), ("gpt", "text.txt/said.txt")):
        status, said, err = run(capsys, "generate", model, "--n", 1, "--out", out)
        assert (status, said) == (3, "")
        assert "its parent" in err
