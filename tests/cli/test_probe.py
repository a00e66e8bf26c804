"""`sequary probe` and `sequary study`, as a user types them: a page, a picture and numbers that agree with the library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import sequary
from sequary.cli.main import main
from tests.cli.running import run
from tests.cli.small_language import fitted


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fitted(tmp_path_factory.mktemp("made"), "gpt", "mamba")
    small = ["--set", "dim=16", "--context", "8", "--steps", "1", "--out", str(folder / "ebt")]
    assert main(["fit", "ebwm-ebt", str(folder / "text.txt"), *small]) == 0
    return folder


def alone(page: str) -> bool:
    """Whether a page needs nothing from elsewhere."""
    return not any(word in page for word in ("http://", "https://", "<script", "src="))


def test_hidden_attention_as_pictures_and_numbers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "text.txt", "--n", 12, "--out", "found"]
    status, out, err = run(capsys, "probe", "mamba", "hidden-attention", *words)
    assert (status, err) == (0, "")
    assert out.startswith("Read: 'to be or not'\n")
    assert out.endswith("found/report.html\n")
    with np.load("found/reading.npz") as found:
        mass = found["mass"]
        assert mass.shape == (2, 12, 12)
        assert found["rollout"].shape == (12, 12)
    assert np.allclose(mass.sum(-1), 1, atol=1e-5)
    assert np.allclose(np.triu(mass, 1), 0)
    reading = sequary.load("mamba").probe("mamba-hidden-attention", data="text.txt", n=12).trained
    assert np.array_equal(mass, reading.tensors["mass"][:, 0].numpy())
    page = Path("found/report.html").read_text()
    assert page.count("<figure>") == 3
    assert "byte that is looked at" in page
    assert alone(page)
    assert imread("found/report.png").shape[2] == 4
    assert (imread("found/report.png")[:, :, 3] == 1).all()  # opaque: it reads on dark too
    facts = json.loads(Path("found/reading.json").read_text())
    assert facts["layers"] == 2
    assert facts["error"] < 1e-4


def test_without_a_text_the_model_writes_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "probe", "mamba", "hidden-attention", "--json")
    assert status == 0
    facts = json.loads(out)
    assert facts["out"] == "mamba-hidden-attention"
    assert len(facts["text"]) == 16  # the context
    assert Path("mamba-hidden-attention/report.html").is_file()


def test_rank_collapse_of_a_saved_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "probe", "gpt", "attention-rank-collapse", "--data", "text.txt", "--json")
    assert status == 0
    relative = json.loads(out)["relative"]
    assert {name: len(line) for name, line in relative.items()} == {"trained": 3, "fresh weights": 3}
    assert all(0 < r <= 1 for line in relative.values() for r in line)
    assert "trained" in Path("gpt-attention-rank-collapse/report.html").read_text()


def test_the_study_of_rank_collapse(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "study", "attention-rank-collapse", "--json")
    assert status == 0
    relative = json.loads(out)["relative"]
    collapsed, held = (relative[name] for name in ("attention alone", "with skips"))
    assert all(run[4] <= 1e-12 for run in collapsed)
    assert all(run[-1] > 0.03 for run in held)
    page = Path("attention-rank-collapse-study/report.html").read_text()
    assert "mathdefault" not in page
    assert alone(page)
    assert json.loads(Path("attention-rank-collapse-study/reading.json").read_text())["relative"] == relative
    assert run(capsys, "study", "attention-rank-collapse")[0] == 0  # its own folder is replaced


ERRORS = {
    "gpt probes no model; attention-rank-collapse, mamba-hidden-attention do": ["probe", "gpt", "gpt"],
    "no system 'hidden'": ["probe", "mamba", "hidden"],
    "has no layer that leaves 'hidden_attention' on the tape (Mamba does)": ["probe", "gpt", "hidden-attention"],
    "--n 17: the model reads from 2 to 16 bytes": ["probe", "mamba", "hidden-attention", "--n", "17"],
    "--n 1: the model reads": ["probe", "mamba", "hidden-attention", "--n", "1"],
    "probes read a stack of blocks, and this EnergyModel has none": ["probe", "ebt", "attention-rank-collapse"],
    "this is a model of the task forecast": ["probe", "dlinear", "hidden-attention"],
    "nowhere.txt: no such file": ["probe", "mamba", "hidden-attention", "--data", "nowhere.txt"],
    "nowhere: no such folder": ["probe", "nowhere", "hidden-attention"],
    "mamba has no study to run; there is attention-rank-collapse": ["study", "mamba"],
    "no system 'rank'": ["study", "rank"],
}


@pytest.mark.parametrize("told", ERRORS)
def test_bad_usage_is_one_line_with_the_mend(here: Path, capsys: pytest.CaptureFixture[str], told: str) -> None:
    status, out, err = run(capsys, *ERRORS[told])
    assert (status, out, told in err) == (2, "", True), err
    assert err.count("\n") == 1


def test_a_folder_of_something_else_is_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["probe", "mamba", "hidden-attention"], ["study", "attention-rank-collapse"]):
        status, _, err = run(capsys, *words, "--out", "gpt")
        assert (status, "holds something else" in err) == (3, True)
