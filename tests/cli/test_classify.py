"""`sequary fit` on labelled series and `sequary classify`, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sequary.cli.main import main
from tests.cli.running import run
from tests.tasks.classify.gestures import CLASSES, own, recorded, table

NAMES = ["--time", "step", "--id", "id", "--target", "x,y", "--label", "gesture"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classifiers and a forecaster, and data."""
    folder = tmp_path_factory.mktemp("made")
    system, tones = own(folder), recorded(folder)
    table(60).write_csv(folder / "gestures.csv")
    (folder / "table.csv").write_text("date,y\n" + "\n".join(f"2024-01-{d:02},{d % 7}" for d in range(1, 31)))
    for words in (
        [system, folder / "gestures.csv", *NAMES, "--out", folder / "model", "--steps", 20],
        [system, tones, "--out", folder / "heard", "--steps", 2],
        ["dlinear", folder / "table.csv", "--out", folder / "dlinear", "--steps", 2, "--horizon", 2],
    ):
        assert main(["fit", *map(str, words)]) == 0
    return folder


def test_a_file_of_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "classify", "model", "gestures.csv", "--out", "labels.csv")
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("60 series: ")
    assert second == "labels.csv"
    found = pl.read_csv("labels.csv")
    assert found.columns == ["id", "label", *(f"p-{name}" for name in CLASSES)]
    assert len(found) == 60
    np.testing.assert_allclose(found.select(pl.sum_horizontal(pl.selectors.starts_with("p-"))).to_numpy(), 1)
    assert run(capsys, "classify", "model", "gestures.csv")[1] == Path("labels.csv").read_text()
    status, out, _ = run(capsys, "classify", "model", "gestures.csv", "--out", "labels.parquet", "--json")
    facts = json.loads(out)
    assert (facts["out"], facts["series"], sum(facts["classes"].values())) == ("labels.parquet", 60, 60)


def test_recordings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "classify", "heard", "tones.npz", "--json")
    assert status == 0
    assert [row["recording"] for row in json.loads(out)] == [str(i) for i in range(60)]


def test_fit_says_what_it_saw_and_what_was_held_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "fit", "small.py", "tones.npz", "--steps", 1, "--out", "m")
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0] == "tones.npz: 60 recordings, 0.1 minutes at 8,000 samples a second, 5 speakers"
    assert lines[2] == "classes: 3 classes, of 20 to 20 series (0, 1, 2)"
    assert lines[3].startswith("held out: 12 series (")
    assert lines[4].startswith("small.py: ")


def broken(here: Path) -> None:
    frame = table(12)
    mixed = pl.when(pl.int_range(pl.len()) == 30).then(pl.lit("wave")).otherwise("gesture")
    frame.with_columns(gesture=mixed).write_csv("mixed.csv")
    frame.with_columns(gesture=pl.lit("circle")).write_csv("one.csv")
    frame.filter(pl.col("id") < "g004").write_csv("rare.csv")
    frame.drop("y").write_csv("narrow.csv")
    np.savez("foreign.npz", x=np.arange(3))
    np.savez("images.npz", images=np.zeros((30, 8, 8), np.uint8), labels=np.arange(30) % 2)
    np.savez("unlabelled.npz", samples=np.zeros(9, np.int16), lengths=[4, 5])


FIT = {
    "mixed.csv, row 32, column 'gesture': 'wave' here, but series 'g001' began": ["mixed.csv", *NAMES],
    "one.csv, column 'gesture': all series are of one class": ["one.csv", *NAMES],
    "rare.csv, column 'gesture': class 'line' has a single series (and 1 more like it)": ["rare.csv", *NAMES],
    "mixed.csv: there is no column 'kind'; the file has": ["mixed.csv", *NAMES[:-1], "kind"],
    "gestures.csv: no column is named as the class of a series; name it: --label COLUMN": ["gestures.csv", *NAMES[:-2]],
    "foreign.npz: no array 'samples' among ['x']": ["foreign.npz"],
    "unlabelled.npz: no array 'labels'": ["unlabelled.npz"],
    "tones.npz: recordings have arrays, no columns": ["tones.npz", "--label", "labels"],
    "learns from a table with --label, or recordings (an .npz), which images.npz is not": ["images.npz"],
    "--horizon says nothing to classify models": ["gestures.csv", *NAMES, "--horizon", "3"],
    "--level says nothing to classify models": ["gestures.csv", *NAMES, "--level", "80"],
}
CLASSIFY = {
    "narrow.csv: column 'y', which the model was fitted with, is missing": ["model", "narrow.csv"],
    "tones.npz: the model was fitted on a table, which this is not": ["model", "tones.npz"],
    "gestures.csv: the model was fitted on recordings": ["heard", "gestures.csv"],
    "missing.csv: no such file": ["model", "missing.csv"],
    "images.npz: the model was fitted on recordings, which this is not": ["heard", "images.npz"],
    "dlinear: this is a model of the task forecast": ["dlinear", "gestures.csv"],
    "labels.xyz": ["model", "gestures.csv", "--out", "labels.xyz"],
}


@pytest.mark.parametrize("told", [*FIT, *CLASSIFY])
def test_bad_input_is_one_line_with_the_mend(here: Path, capsys: pytest.CaptureFixture[str], told: str) -> None:
    broken(here)
    words = ["fit", "small.py", *FIT[told], "--out", "m"] if told in FIT else ["classify", *CLASSIFY[told]]
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert not Path("m").exists()
