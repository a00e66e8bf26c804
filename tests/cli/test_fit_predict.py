from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sequary.cli import forms, values
from sequary.cli.main import COMMANDS, explained, main

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(100)]
QUICK = ["--steps", "3", "--context", "14"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    t = np.arange(100)
    wave = 10 + np.sin(2 * np.pi * t / 7)
    parts = [pl.DataFrame({"unique_id": s, "ds": DAYS, "y": wave * k, "promo": t % 3}) for k, s in ((1, "a"), (2, "b"))]
    pl.concat([*parts, parts[0][:5].with_columns(unique_id=pl.lit("tiny"))]).write_csv("long.csv")
    pl.DataFrame({"date": DAYS, "sun": wave, "rain": wave + t}).write_csv("wide.csv")
    Path("text.txt").write_text("to be or not to be, that is the question. " * 60)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main([str(w) for w in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_fit_then_predict_a_long_table(here: Path, capsys: pytest.CaptureFixture[str]):
    status, out, err = run(capsys, "fit", "dlinear", "long.csv", "--horizon", 7, "--out", "m", *QUICK)
    assert status == 0, err
    assert "series 'tiny' has 5 steps from its first value on, 8 are needed: left out" in out
    assert out.endswith("m\n")
    status, out, err = run(capsys, "predict", "m", "long.csv", "--level", "80")
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0] == "unique_id,ds,y,y-lo-80,y-hi-80"
    assert lines[1].startswith("a,2024-04-10,")
    assert len(lines) == 1 + 3 * 7  # the series that was too short to learn from is forecast all the same


def test_wide_in_wide_out_as_a_file(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run(capsys, "fit", "nlinear", "wide.csv", "--horizon", 3, "--out", "m", *QUICK)[0] == 0
    status, out, _ = run(capsys, "predict", "m", "wide.csv", "--out", "f.parquet", "--level", "50", "--json")
    assert status == 0
    assert json.loads(out) == {"out": "f.parquet", "rows": 3}
    assert pl.read_parquet("f.parquet").columns == [
        "date",
        "sun",
        "rain",
        "sun-lo-50",
        "sun-hi-50",
        "rain-lo-50",
        "rain-hi-50",
    ]


def test_json_and_defaults(here: Path, capsys: pytest.CaptureFixture[str]):
    status, out, err = run(capsys, "fit", "dlinear", "wide.csv", "--json", *QUICK, "--set", "model__head__kernel=5")
    assert status == 0, err
    facts = json.loads(out)
    assert facts["horizon"] == 7
    assert facts["folder"] == "dlinear-model"
    assert facts["context"] == 14
    assert facts["steps"] == 3
    status, out, _ = run(capsys, "predict", "dlinear-model", "wide.csv", "--json", "--horizon", 2)
    assert [row["date"] for row in json.loads(out)] == ["2024-04-10", "2024-04-11"]


def test_a_budget_in_place_of_steps(here: Path, capsys: pytest.CaptureFixture[str]):
    status, out, _ = run(
        capsys, "fit", "dlinear", "wide.csv", "--horizon", 3, "--budget", "0.3s", "--json", "--out", "m"
    )
    assert status == 0
    assert json.loads(out)["steps"] >= 1


def test_columns_may_be_named(here: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--target", "rain", "--future", "sun", "--horizon", 3, "--out", "m", *QUICK]
    assert run(capsys, "fit", "dlinear", "wide.csv", *words)[0] == 0
    contract = json.loads(Path("m/contract.json").read_text())
    assert (contract["channels"], contract["future"]) == (["rain"], ["sun"])
    status, _, err = run(capsys, "predict", "m", "wide.csv")
    assert status == 0
    assert err.startswith("warning: future covariate 'sun': known for 0 of the 3 steps")


MINE = """
from sequary.backbones.stack import BLOCK
from sequary.builders import language_model
from sequary.core.recipe import Train
RECIPE = language_model(dim=16, depth=1, blocks=(BLOCK,), train=Train(batch=4, steps=3))
"""


def test_a_system_of_ones_own_on_text(here: Path, capsys: pytest.CaptureFixture[str]):
    Path("mine.py").write_text(MINE)
    status, out, err = run(capsys, "fit", "./mine.py", "text.txt", "--context", 16)
    assert status == 0, err
    assert out.endswith("mine-model\n")
    status, out, _ = run(capsys, "predict", "mine-model", "text.txt", "--json")
    assert 5 < json.loads(out)["bits_per_byte"] < 9


ERRORS = {
    "no system 'dlineer'; did you mean dlinear": ["fit", "dlineer", "wide.csv"],
    "nowhere.csv: no such file": ["fit", "dlinear", "nowhere.csv"],
    "--horizon 0: at least one step": ["fit", "dlinear", "wide.csv", "--horizon", "0"],
    "the longest has 100 steps, 501 are needed": ["fit", "dlinear", "wide.csv", "--horizon", "500"],
    "has no 'kernal'; it has objective, train": ["fit", "dlinear", "wide.csv", "--set", "stages__0__kernal=3"],
    "write PATH=VALUE": ["fit", "dlinear", "wide.csv", "--set", "dim"],
    "kernel=4 has no centre; use 3 or 5": ["fit", "dlinear", "wide.csv", "--set", "model__head__kernel=4"],
    "no device is called 'tpus'": ["fit", "dlinear", "wide.csv", "--device", "tpus"],
    "does not exist here": ["fit", "dlinear", "wide.csv", "--device", "cuda:99"],
    "'5x' is no span of time; write it as": ["fit", "dlinear", "wide.csv", "--budget", "5x"],
    "are both given; give one": ["fit", "dlinear", "wide.csv", "--budget", "5s", "--steps", "4"],
    "--steps 0: at least 1": ["fit", "dlinear", "wide.csv", "--steps", "0"],
    "--level 80,950: each must lie between 0 and 100": ["fit", "dlinear", "wide.csv", "--level", "80,950"],
    "there is no column 'moon'": ["fit", "dlinear", "wide.csv", "--target", "moon"],
    "ltsf-linear learns from a table, which text.txt is not": ["fit", "dlinear", "text.txt"],
    "Missing argument 'DATA'; see `sequary fit --help`": ["fit", "dlinear"],
    "No such command 'fot'; did you mean fit? See `sequary --help`": ["fot"],
    "No such option: --horizn": ["fit", "dlinear", "wide.csv", "--horizn", "3"],
    "nowhere: no such folder": ["predict", "nowhere", "wide.csv"],
}


@pytest.mark.parametrize("told", ERRORS)
def test_bad_usage_is_one_line_with_the_mend(here: Path, capsys: pytest.CaptureFixture[str], told: str):
    status, _, err = run(capsys, *ERRORS[told])
    assert status == 2
    assert told in err
    assert err.startswith("sequary: ")
    assert err.count("\n") == 1


def test_an_output_that_cannot_be_written_is_told_before_training(here: Path, capsys: pytest.CaptureFixture[str]):
    for out in ("long.csv/m", "long.csv", "."):
        status, said, err = run(capsys, "fit", "dlinear", "wide.csv", "--out", out)
        assert (status, said) == (3, "")
        assert f"{out} cannot be written" in err
    run(capsys, "fit", "dlinear", "wide.csv", "--horizon", 3, "--out", "m", *QUICK)
    status, _, err = run(capsys, "predict", "m", "wide.csv", "--out", "long.csv/f.csv")
    assert status == 3
    assert "its parent" in err


def test_debug_shows_the_trace(here: Path, capsys: pytest.CaptureFixture[str]):
    status, _, err = run(capsys, "fit", "dlineer", "wide.csv", "--debug")
    assert status == 2
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("sequary: no system")


def test_exit_statuses_of_failed_runs_and_defects():
    from sequary.train.diverged import Diverged

    assert explained(Diverged("the loss is nan", step=3, rows=[1], parameter=None), ["fit"])[1] == 4
    assert explained(RuntimeError("can't allocate memory: 9 bytes"), ["fit"])[1] == 4
    assert explained(MemoryError(), ["fit"]) == ("the run failed: no memory is left", 4)
    line, status = explained(AttributeError("x"), ["fit"])
    assert status == 5
    assert "--debug" in line


def test_help_lists_the_commands_and_says_what_statuses_mean(capsys: pytest.CaptureFixture[str]):
    status, out, _ = run(capsys)
    assert status == 0
    assert "fit" in out
    assert "3 an output could" in out
    assert all(len(help) < 90 for help in COMMANDS.values())


def test_the_command_line_starts_without_anything_heavy():
    code = (
        "import sys, sequary.cli.main as m; s = m.main(['--help']);"
        "print(s, [n for n in ('torch', 'polars', 'numpy', 'sklearn', 'pydantic') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "0 []"


def test_settings_are_pythons_values_or_words():
    assert values.settings(["dim=64", "a__b=(1, 2)", "c=1e-3", "d=True", "e=None", "f=linear"]) == {
        "dim": 64,
        "a__b": (1, 2),
        "c": 1e-3,
        "d": True,
        "e": None,
        "f": "linear",
    }


def test_shares():
    assert values.shares("95,80,80") == (0.8, 0.95)
    with pytest.raises(ValueError, match="percents"):
        values.shares("a")


def test_what_is_not_given_is_not_passed():
    def command(system: str, *, seed: int = 7, has: str | None, kind: list[str], cite: bool) -> int:
        assert (system, seed, has, kind, cite) == ("x", 7, None, [], False)
        return 0

    forms_of = forms.declared(command)
    assert forms_of(system="x", seed=None, has=None, kind=[], cite=False) == 0
