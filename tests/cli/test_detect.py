"""`sequary fit` a detector, `sequary detect`: from table to table through the real command, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from sequary.cli.main import main
from tests.tasks.detect.series import waves

TINY = ["--set", "dim=16", "--set", "model__backbone__depth=1", "--set", "model__head__hidden=16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cli")
    waves().write_csv(made / "w.csv")
    words = [
        "fit",
        "anomalybert",
        made / "w.csv",
        "--label",
        "fault",
        "--context",
        16,
        "--steps",
        60,
        "--out",
        made / "m",
    ]
    assert main([str(w) for w in [*words, *TINY]]) == 0
    return made


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main([str(w) for w in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_scores_and_events(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "detect", folder / "m", folder / "w.csv", "--out", folder / "s.csv", "--alarms", 30)
    assert status == 0, err
    first, *events, last = out.splitlines()
    assert "of 480 rows above" in first
    assert first.startswith(f"{len(events)} events")
    assert last == str(folder / "s.csv")
    made = pl.read_csv(folder / "s.csv")
    assert made.columns == ["time", "a", "b", "fault", "score", "anomaly"]
    assert set(made["anomaly"].unique()) <= {0, 1}
    assert made["score"].is_between(0, 1).all()


def test_json_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "detect", folder / "m", folder / "w.csv", "--json", "--alarms", 30)
    assert status == 0
    found = json.loads(out)
    assert found.keys() == {"out", "rows", "anomalies", "threshold", "events"}
    assert found["rows"] == 480
    assert len(found["events"]) > 0
    assert found["events"][0].keys() == {"start", "end", "steps", "score"}
    assert found["events"][0]["start"].startswith("2024-01-")


def test_a_long_table_names_its_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (waves(200, seed=s).select(unique_id=pl.lit(f"s{s}"), ds="time", y="a") for s in (0, 1))
    pl.concat([one, two]).write_csv(tmp_path / "long.csv")
    words = ["fit", "anomalybert", tmp_path / "long.csv", "--context", 16, "--steps", 2, "--out", tmp_path / "m"]
    assert run(capsys, *words, *TINY)[0] == 0
    status, out, err = run(capsys, "detect", tmp_path / "m", tmp_path / "long.csv", "--json", "--alarms", 50)
    assert status == 0, err
    assert {row["unique_id"] for row in json.loads(out)["events"]} <= {"s0", "s1"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--alarms", "many"], "--alarms"),
        (["--alarms", "-1"], "alarms=-1 per 1000 steps: the"),
        (["--alarms", "900"], "alarms=900 per 1000 steps: the"),
        (["--out", "scores.xyz"], "no table type has the suffix '.xyz'"),
    ],
)
def test_bad_options_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    status, _, err = run(capsys, "detect", folder / "m", folder / "w.csv", *words)
    assert status == 2
    assert line in err
    assert len(err.splitlines()) == 1


def test_bad_data_is_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(frame: pl.DataFrame, line: str) -> None:
        frame.write_csv(tmp_path / "x.csv")
        status, _, err = run(capsys, "detect", folder / "m", tmp_path / "x.csv")
        assert status == 2
        assert line in err
        assert len(err.splitlines()) == 1

    frame = waves()
    refused(frame.drop("a"), "x.csv: column 'a', which the model was fitted with, is missing; give time, a, b")
    refused(frame.rename({"fault": "anomaly"}), "column 'anomaly': the table has a column of this name")
    words = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("hot")).otherwise(pl.col("a").cast(pl.String)).alias("a")
    refused(frame.with_columns(words), "x.csv, row 5, column 'a': 'hot' is not a number")
    refused(pl.concat([frame, frame[:1].with_columns(a=9.0)]), "occurs twice")
    refused(frame.with_columns(time=pl.int_range(pl.len())), "time")
    for model, line in (("nowhere", "no such folder"), (folder / "w.csv", "this is a file, not the folder of a model")):
        status, _, err = run(capsys, "detect", model, folder / "w.csv")
        assert (status, line in err) == (2, True)
    status, _, err = run(capsys, "predict", folder / "m", folder / "w.csv")
    assert status == 2
    assert "use detect" in err


def test_too_little_to_learn_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waves(20).write_csv(tmp_path / "few.csv")
    status, _, err = run(capsys, "fit", "anomalybert", tmp_path / "few.csv", "--out", tmp_path / "m")
    assert status == 2
    assert "the longest has 20 steps, 32 are needed" in err
    status, _, err = run(capsys, "fit", "anomalybert", tmp_path / "few.csv", "--horizon", "3", "--out", tmp_path / "m")
    assert status == 2
    assert "--horizon says nothing to detect models" in err
