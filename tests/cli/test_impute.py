from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sequary.cli.main import main

QUICK = ["--steps", "3", "--context", "12", "--set", "dim=16", "--seed", "1"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    t = np.arange(100)
    lines = [
        f"2024-01-01 {i // 60:02d}:{i % 60:02d}:00,{'' if 40 <= i < 45 else 1 + i % 7},{float(np.sin(i / 3))!r},x"
        for i in t
    ]
    Path("t.csv").write_text("\n".join(["time,a,b,note", *lines]) + "\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main([str(w) for w in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_fit_then_impute(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "fit", "saits", "t.csv", "--out", "m", *QUICK)
    assert status == 0, err
    assert "missing: 2.5% of the cells of the grid" in out
    status, out, err = run(capsys, "impute", "m", "t.csv", "--out", "filled.csv", "--json")
    assert status == 0, err
    assert json.loads(out) == {"out": "filled.csv", "rows": 100, "filled": 5}
    before, after = Path("t.csv").read_text().splitlines(), Path("filled.csv").read_text().splitlines()
    numbers = pl.read_csv("filled.csv")
    assert numbers["a"].null_count() == 0
    assert [line.split(",")[2:] for line in after] == [line.split(",")[2:] for line in before]
    status, out, _ = run(capsys, "impute", "m", "t.csv", "--level", "80,95")
    lines = out.splitlines()
    assert lines[0] == "time,a,b,note,a-lo-80,a-hi-80,b-lo-80,b-hi-80,a-lo-95,a-hi-95,b-lo-95,b-hi-95"
    assert lines[1].endswith(",x,,,,,,,,")
    assert len(lines) == 101


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["impute", "nowhere", "t.csv"], "nowhere: no such folder"),
        (["impute", "m", "none.csv"], "none.csv"),
        (["impute", "m", "t.csv", "--level", "120"], "each must lie between 0 and 100"),
        (["impute", "m", "t.csv", "--out", "x.docx"], "no table type has the suffix '.docx'"),
        (["impute", "m", "other.csv"], "column 'a', which the model was fitted with, is missing"),
        (["impute", "m", "words.csv"], "'abc' is not a number"),
        (["predict", "m", "t.csv"], "this is a model of the task impute"),
        (["fit", "saits", "t.csv", "--horizon", "3"], "--horizon says nothing to impute models"),
        (["fit", "saits", "t.csv", "--context", "1"], "a window of one step has no surroundings"),
        (["fit", "saits", "short.csv"], "no series is long enough: the longest has 4 steps, 8 are needed"),
    ],
)
def test_bad_input_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str, model: Path
) -> None:
    (here / "m").symlink_to(model)
    rows = Path("t.csv").read_text().splitlines()
    Path("other.csv").write_text("\n".join(r.replace("a,b", "c,b") for r in rows))
    Path("words.csv").write_text("\n".join([*rows[:5], "2024-01-01 00:04:00,abc,1.0,x", *rows[6:20]]))
    Path("short.csv").write_text("\n".join(rows[:5]))
    status, _, err = run(capsys, *words)
    assert status == 2
    assert line in err
    assert len(err.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imputer")
    t = np.arange(100)
    pl.DataFrame({"time": t, "a": t % 7, "b": np.sin(t / 3)}).with_columns(
        (pl.datetime(2024, 1, 1) + pl.duration(minutes=pl.col("time"))).alias("time")
    ).write_csv(folder / "t.csv")
    assert main(["fit", "saits", str(folder / "t.csv"), "--out", str(folder / "m"), *QUICK, "--json"]) == 0
    return folder / "m"
