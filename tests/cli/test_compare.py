"""`sequary compare` as it is typed: the plan, the talk, the exit status. What is trained has a budget in steps."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sequary.cli.main import main
from tests.compare.tables import monthly, own

WITHOUT_RIVALS = """
import sys
from sequary.cli.main import main
from sequary.compare.tasks import forecast
forecast.ordinary = list
sys.exit(main(sys.argv[1:]))
"""
"""Which take the longest."""


@pytest.fixture(name="table")
def _table(tmp_path: Path) -> Path:
    monthly().write_csv(tmp_path / "table.csv")
    return tmp_path / "table.csv"


def test_dry_run_says_the_plan_and_does_nothing(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sequary.train import loop

    monkeypatch.setattr(loop, "fit", lambda *_, **__: pytest.fail("a dry run trains nothing"))
    out = tmp_path / "out"
    assert main(["compare", str(table), "--horizon", "6", "--budget", "1m", "--dry-run", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "monthly" in said
    assert "choice origins" in said
    assert "dlinear: " in said
    assert "parameters, about" in said
    assert "time: about" in said
    assert not out.exists()


def test_dry_run_of_steps(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", str(table), "--horizon", "6", "--systems", "nlinear", "--dry-run", "--out", str(tmp_path / "o")]
    assert main([*words, "--budget", "200steps"]) == 0
    said = capsys.readouterr().out
    assert "budget: 200 steps of each system's final runs" in said
    assert "settings 4 -> 2 -> 1 at 1/4, 1/2, all of 200 steps" in said
    assert "time: without limit" in said
    assert main([*words, "--budget", "50steps"]) == 0
    assert "settings 1 at" in capsys.readouterr().out


def test_dry_run_reads_well(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = own(tmp_path, "unbound.py", "pass", horizon="weather")
    systems = f"nlinear,patchtst,{broken}"
    words = ["compare", str(table), "--horizon", "1", "--systems", systems, "--seeds", "1", "--dry-run"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 step apart" in said
    assert "gradient-boosting: rival, 1 run sized" in said
    assert "parameters, less than 1 MB; settings" in said
    assert "then 1 seed; tries" in said
    assert not re.search(r"\b1 (runs|seeds|steps|cores|candidates)\b", said)
    assert not re.search(r"\d\.\d{6}", said)
    assert f"{broken}: cannot be built: ValueError: " in said
    assert "weather, which these series do not tell" in said


@pytest.mark.parametrize("flag", [(), ("--dry-run",)])
def test_a_folder_of_other_files_is_no_output(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: tuple[str, ...]
) -> None:
    assert main(["compare", str(table), "--horizon", "6", "--out", str(tmp_path), *flag]) == 3
    said = capsys.readouterr()
    assert (
        said.err
        == f"sequary: {tmp_path} cannot be written: it is a folder that holds something else; choose another place\n"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_no_room_loses_nothing_and_the_same_command_continues(table: Path, tmp_path: Path) -> None:
    """Under a limit of the size of files, as where a disk is full; tighter first, then in the midst of the runs."""
    out = tmp_path / "out"
    words = ["compare", str(table), "--horizon", "6", "--budget", "8steps", "--systems", "nlinear", "--seeds", "1"]

    def run(limit: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_RIVALS, *words, "--out", str(out)]
        return subprocess.run(
            command,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    for limit in (100, 3500):
        found = run(limit)
        assert found.returncode == 3, found.stderr
        assert found.stderr.splitlines()[-1] == (
            f"sequary: {out} cannot be written: it would exceed the file size limit; raise the limit (ulimit -f), or "
            "choose another place"
        )
        assert "Traceback" not in found.stderr
        assert not list(out.rglob(".*.tmp"))
    done = list((out / "work").glob("*/*.json"))
    assert done
    found = run(resource.RLIM_INFINITY)
    assert found.returncode == 0, found.stderr
    assert re.search(rf"continues a comparison that was stopped: {len(done)} runs? (is|are) done", found.stderr)
    board = json.loads((out / "board.json").read_text())
    assert next(c["status"] for c in board["candidates"] if c["id"] == "nlinear") == "ok"


def test_json_is_the_board_and_nothing_else(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sequary.compare.tasks.forecast.ordinary", list)
    out = tmp_path / "out"
    words = ["compare", str(table), "--horizon", "6", "--budget", "8steps", "--systems", "nlinear", "--seeds", "1"]
    assert main([*words, "--out", str(out), "--json", "--level", "80"]) == 0
    said = capsys.readouterr()
    board = json.loads(said.out)
    assert board == json.loads((out / "board.json").read_text())
    assert {"data", "task", "folds", "candidates", "floors", "leak", "ties", "verdict", "manifest"} <= board.keys()
    assert "coverage_80" in board["candidates"][0]["metrics"]
    assert "coverage_95" not in board["candidates"][0]["metrics"]
    assert "backtest" in said.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--horizon", "0"], "horizon=0"),
        (["--horizon", "6", "--systems", "patchtsd"], "did you mean patchtst"),
        (["--horizon", "6", "--budget", "soon"], "5m or 1h30m"),
        ([], "how far ahead"),
    ],
)
def test_nonsense_is_one_line_on_standard_error(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert main(["compare", str(table), *words, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert line in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert "Traceback" not in said.err


def test_a_missing_file_is_named_before_anything_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path / "slaes.csv")]) == 2
    assert "slaes.csv" in capsys.readouterr().err


def test_an_output_that_cannot_be_written(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    assert main(["compare", str(table), "--horizon", "6", "--systems", "dlinear", "--out", str(out)]) == 3
    assert "is a file" in capsys.readouterr().err


def test_text_with_a_floor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 400)
    assert (
        main(
            [
                "compare",
                str(text),
                "--budget",
                "8steps",
                "--systems",
                "gpt",
                "--max-params",
                "10",
                "--out",
                str(tmp_path / "o"),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "bits per byte" in said
    assert "over parameters" in said
    assert "6-gram" in said
