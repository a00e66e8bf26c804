"""Bad input through the real command line: the exit status, and one line that names the place, the value and the mend.

Every variety of bad table is read in `tests/data/test_bad_input.py`; here each kind goes once through a whole command.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sequary.cli.main import main

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(60)]
FIT = ["fit", "dlinear", "data.csv", "--horizon", "7", "--steps", "2", "--context", "14", "--out", "m"]
Run = Callable[..., tuple[int, str, str]]


def rows(at: int | None = None, line: str = "", *, zone: str = "") -> str:
    """A daily table of 60 rows; the one at `at` is `line` instead."""
    return "ds,y\n" + "".join(f"{line if i == at else f'{day}{zone},{i % 7}.5'}\n" for i, day in enumerate(DAYS))


@pytest.fixture(name="run")
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a healthy table, and that table."""
    folder = tmp_path_factory.mktemp("healthy")
    (folder / "data.csv").write_text(rows())
    words = [w.replace("data.csv", str(folder / "data.csv")) for w in FIT[:-1]]
    assert main([*words, str(folder / "m")]) == 0
    return folder / "m"


def refused(run: Run, *words: str, status: int = 2) -> str:
    """The one line on standard error, of a command that says nothing else and ends in `status`."""
    found, out, err = run(*words)
    assert (found, out) == (status, "")
    assert err.count("\n") == 1
    assert err.startswith("sequary: ")
    return err.removeprefix("sequary: ").rstrip()


TABLES = {
    "empty file": ("", "data.csv: the file is empty (0 bytes); write it again, or name another file"),
    "no time column": (
        "price,sold\n1.5,2\n3.5,4\n",
        "data.csv: no column holds times; name it with --time, or add one",
    ),
    "several time columns": (
        "ordered,shipped,y\n" + "".join(f"{d},{d},{i}\n" for i, d in enumerate(DAYS)),
        "several columns could be the time: ordered, shipped; name the right one, such as --time ordered",
    ),
    "unparsable date": (
        rows(4, "2024-02-30,1.5"),
        "data.csv, row 6, column 'ds': '2024-02-30' is no",
    ),
    "duplicate time": (
        rows(9, "2024-01-03,99"),
        "data.csv, row 11, column 'ds': time 2024-01-03 00:00:00 occurs twice, first in row 4; aggregate (pandas: ",
    ),
    "mixed time zones": (
        rows(5, "2024-01-06 00:00:00+05:00,1.5", zone=" 00:00:00+02:00"),
        "data.csv, row 7, column 'ds': mixed time zones: offset +05:00 after +02:00 in row 2; convert all to one zone",
    ),
    "infinity": (rows(2, "2024-01-03,inf"), "data.csv, row 4, column 'y': inf is not finite; leave the cell empty"),
    "text among numbers": (
        rows(3, "2024-01-04,lots"),
        "data.csv, row 5, column 'y': 'lots' is not a number; write a number, or leave the cell empty",
    ),
    "all series too short": (
        "ds,y\n2024-01-01,1\n2024-01-02,2\n2024-01-03,4\n",
        "no series is long enough: the longest has 3 steps, 8 are needed; choose a shorter horizon",
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_that_are_refused(run: Run, kind: str) -> None:
    content, told = TABLES[kind]
    Path("data.csv").write_text(content)
    assert told in refused(run, *FIT) if kind != "all series too short" else told in run(*FIT)[2]
    assert not Path("m").exists()


@pytest.mark.parametrize("command", ["fit", "compare", "predict"])
def test_every_command_refuses_a_table_in_the_same_words(run: Run, model: Path, command: str) -> None:
    Path("data.csv").write_text(rows(2, "2024-01-03,inf"))
    words = {
        "fit": FIT,
        "compare": ["compare", "data.csv", "--horizon", "7", "--budget", "1s", "--out", "r"],
        "predict": ["predict", str(model), "data.csv"],
    }
    assert refused(run, *words[command]).startswith("data.csv, row 4, column 'y': inf is not finite; ")
    assert not Path("r").exists()


def test_not_utf8(run: Run) -> None:
    Path("data.csv").write_bytes(rows(3, "2024-01-04,né").encode("latin1"))
    assert "data.csv, row 5: byte 0xe9 at offset" in refused(run, *FIT)
    assert "is not UTF-8; save it as UTF-8 (from Latin-1: iconv -f latin1 -t utf-8)" in refused(run, *FIT)


def test_a_parquet_file_of_0_bytes(run: Run) -> None:
    Path("data.parquet").write_bytes(b"")
    words = [w.replace("data.csv", "data.parquet") for w in FIT]
    assert refused(run, *words).startswith("data.parquet: the file is empty (0 bytes); write it again")


def test_a_short_series_is_named_and_the_rest_goes_on(run: Run) -> None:
    long = pl.DataFrame({"unique_id": "long", "ds": DAYS, "y": np.arange(60.0) % 7})
    brief = {"tiny": 5, "brief": 12}
    parts = [long, *(long[:n].with_columns(unique_id=pl.lit(name)) for name, n in brief.items())]
    pl.concat(parts).write_csv("data.csv")
    status, out, err = run(*FIT)
    assert (status, err) == (0, "")
    assert "note: series 'tiny' has 5 steps from its first value on, 8 are needed: left out" in out
    assert "note: shorter than context 14 + horizon 7, so that windows begin with padding: 'brief'" in out
    forecasts = pl.read_csv(run("predict", "m", "data.csv")[1].encode())
    assert forecasts["unique_id"].unique().sort().to_list() == ["brief", "long", "tiny"]


def test_a_constant_series_is_named_and_forecast(run: Run) -> None:
    Path("data.csv").write_text("ds,load,flat\n" + "".join(f"{d},{i % 7},7\n" for i, d in enumerate(DAYS)))
    status, out, err = run(*FIT)
    assert (status, err) == (0, "")
    assert "constant: flat: every forecast of it is as good as any" in out
    forecasts = pl.read_csv(run("predict", "m", "data.csv", "--level", "80")[1].encode())
    assert forecasts["flat"].to_list() == pytest.approx([7.0] * 7)
    assert forecasts.select(pl.selectors.numeric().is_finite().all()).row(0) == (True,) * 6


ARGUMENTS = {
    "--horizon 0": (["fit", "dlinear", "data.csv", "--horizon", "0"], "--horizon 0: at least one step is needed"),
    "horizon=-1": (["compare", "data.csv", "--horizon", "-1"], "forecasts look at least 1 step ahead; give a positive"),
    "horizon=8": (["predict", "{model}", "data.csv", "--horizon", "8"], "fit again with --horizon 8"),
    "horizon=0": (["predict", "{model}", "data.csv", "--horizon", "0"], "not between 1 and 7"),
    "--horizon soon": (
        ["fit", "dlinear", "data.csv", "--horizon", "soon"],
        "a whole number is needed, such as --horizon 24",
    ),
    "'dlineer'": (["fit", "dlineer", "data.csv"], "did you mean dlinear or"),
    "'patchtsd'": (["compare", "data.csv", "--horizon", "7", "--systems", "patchtsd"], "did you mean patchtst"),
    "'mambo'": (["show", "mambo"], "did you mean mamba"),
    "'glaa'": (["check", "glaa"], "did you mean gla"),
    "gla": (["fit", "gla", "data.csv"], "learns from a text, which data.csv is not by its name"),
    "'tpu9'": (["fit", "dlinear", "data.csv", "--device", "tpu9"], "use cpu, cuda or auto"),
    "'cuda:99'": (["fit", "dlinear", "data.csv", "--device", "cuda:99"], "does not exist here"),
    "--set dmi": (["fit", "dlinear", "data.csv", "--set", "dmi=3"], "a recipe has context, decode, dim, edits, model"),
    "'wide'": (["fit", "dlinear", "data.csv", "--set", "model__head__kernel=wide"], "recipe.model.head.kernel"),
    "--kind mixr": (["systems", "--kind", "mixr"], "there are analysis, backbone"),
    "--modality smell": (["systems", "--modality", "smell"], "there are 3d, any, audio"),
    "'comparr'": (["comparr", "data.csv"], "did you mean compare"),
    "','": (
        ["compare", "data.csv", "--horizon", "7", "--systems", ","],
        "names nothing; write names separated by commas",
    ),
}


@pytest.mark.parametrize("value", ARGUMENTS)
def test_arguments_that_are_refused(run: Run, model: Path, value: str) -> None:
    Path("data.csv").write_text(rows())
    words, mend = ARGUMENTS[value]
    line = refused(run, *(w.format(model=model) for w in words))
    assert value in line
    assert mend in line
    assert sorted(p.name for p in Path().iterdir()) == ["data.csv"]


def test_an_output_whose_parent_is_a_file(run: Run, model: Path) -> None:
    Path("data.csv").write_text(rows())
    Path("file").write_text("mine")
    words = {
        "file/m": FIT[:-1],
        "file/r": ["compare", "data.csv", "--horizon", "7", "--systems", "dlinear", "--budget", "1s", "--out"],
        "file/f.csv": ["predict", str(model), "data.csv", "--out"],
    }
    for out, command in words.items():
        status, _, err = run(*command, out)
        assert status == 3
        assert err.splitlines()[-1].startswith(f"sequary: {out}")
        assert "file is a file; choose another place" in err
    assert Path("file").read_text() == "mine"


def test_a_name_that_the_system_refuses(run: Run) -> None:
    name = f"{'x' * 300}.csv"
    assert refused(run, *(name if w == "data.csv" else w for w in FIT)) == f"{name}: File name too long; check the path"


def test_a_bench_whose_folder_is_a_file(run: Run) -> None:
    Path("file").write_text("mine")
    for out in ("file", "file/b"):
        line = refused(run, "bench", "mixers", "--systems", "gla", "--out", out, status=3)
        assert line.startswith(f"{out} cannot be written: ")
    assert Path("file").read_text() == "mine"


def test_a_panic_of_polars_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(system: str) -> int:
        raise pl.exceptions.PanicException(system)

    monkeypatch.setattr("sequary.cli.show.command", command)
    assert refused(run, "show", "gla", status=5).startswith("a defect of sequary (PanicException: gla); run again")


BROKEN = {
    (
        "recipe.json",
        "missing",
    ): "m: recipe.json is missing, so this is no folder of a model; copy the whole folder again",
    ("recipe.json", "truncated"): "m/recipe.json: it is truncated, or no JSON (",
    ("recipe.json", "foreign"): "m/recipe.json: expected a recipe, found tuple",
    ("contract.json", "missing"): "m: contract.json is missing, so this is no folder of a model; copy the whole folder",
    ("contract.json", "truncated"): "m/contract.json: it is truncated, or no JSON (",
    ("contract.json", "foreign"): "m/contract.json: no contract of a model (",
    ("weights.safetensors", "missing"): "m/weights.safetensors: no such file; check the path",
    ("weights.safetensors", "truncated"): "m/weights.safetensors: ",
    ("weights.safetensors", "foreign"): "m/weights.safetensors: this is a pickle, and a pickle can run code: it is not",
}


def break_model(folder: Path, name: str, how: str) -> None:
    path = folder / name
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"[1, 2]" if path.suffix == ".json" else b"PK\x03\x04" + bytes(100))


@pytest.mark.parametrize(("name", "how"), BROKEN)
def test_a_model_with_a_broken_file(run: Run, model: Path, name: str, how: str) -> None:
    Path("data.csv").write_text(rows())
    shutil.copytree(model, "m")
    break_model(Path("m"), name, how)
    line = refused(run, "predict", "m", "data.csv")
    assert line.startswith(BROKEN[name, how])
    if how == "truncated":
        assert "copy the" in line


def test_a_recipe_that_names_outside_code(run: Run, model: Path) -> None:
    Path("data.csv").write_text(rows())
    Path("evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\nclass Evil: ...\n")
    for name in ("os:system", "evil:Evil", "sequary.cli.main:main", "core..evil:Evil"):
        shutil.copytree(model, "m", dirs_exist_ok=True)
        recipe = json.loads(Path("m/recipe.json").read_text())
        recipe["with"]["model"]["part"] = name
        Path("m/recipe.json").write_text(json.dumps(recipe))
        line = refused(run, "predict", "m", "data.csv")
        assert line.startswith(f"m/recipe.json: recipe.model: {name!r} is outside sequary")
        assert line.endswith("it is not imported")
    assert not Path("ran").exists()


def test_no_room_while_saving_loses_nothing(run: Run, model: Path) -> None:
    Path("data.csv").write_text(rows())
    shutil.copytree(model, "m")
    before = {p.name: p.read_bytes() for p in Path("m").iterdir()}
    Path("f.csv").write_text("kept")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    for words, out in ((FIT, "m"), (["predict", "m", "data.csv", "--out", "f.csv"], "f.csv")):
        found = subprocess.run(
            [sys.executable, "-m", "sequary.cli.main", *words],
            preexec_fn=limited,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 3, found.stderr
        assert found.stderr.count("\n") == 1
        assert found.stderr.startswith(f"sequary: {out}")
        assert (
            "it would exceed the file size limit; raise the limit (ulimit -f), or choose another place" in found.stderr
        )
    assert {p.name: p.read_bytes() for p in Path("m").iterdir()} == before
    assert Path("f.csv").read_text() == "kept"
    assert sorted(p.name for p in Path().iterdir()) == ["data.csv", "f.csv", "m"]
    assert run("predict", "m", "data.csv")[0] == 0


OWN = {
    "x = (\n": "own.py, line 1: '(' was never closed",
    "\nimport nothing_like_this\n": "own.py, line 2: ModuleNotFoundError: No module named 'nothing_like_this'",
    "from sequary.core.part import part\nfrom sequary.blocks.norms import RMSNorm\npart(RMSNorm, epps=1)\n": (
        "own.py, line 3: TypeError: RMSNorm: got an unexpected keyword argument 'epps'; it takes"
    ),
    "x = 1\n": "own.py defines no part: derive a class from one of sequary.core.contracts, or give it a RECIPE",
}


@pytest.mark.parametrize("source", OWN)
def test_a_fault_in_a_file_of_ones_own_is_shown_there(run: Run, source: str) -> None:
    Path("own.py").write_text(source)
    assert OWN[source] in refused(run, "check", "own.py")


def test_a_model_that_could_not_be_saved_is_refused_before_it_is_trained(run: Run) -> None:
    Path("data.csv").write_text(rows())
    Path("own.py").write_text(
        "from sequary.heads.linear_series import TrendRemainder\n"
        "from sequary.core.part import FromData, part\n"
        "from sequary.systems.forecasting.ltsf_linear import RECIPE as BASE\n"
        "class Mine(TrendRemainder): ...\n"
        "RECIPE = BASE.but(model__head=part(Mine, horizon=FromData('horizon')))\n"
    )
    words = ["own.py" if w == "dlinear" else w for w in FIT]
    line = refused(run, *words)
    assert "recipe.model.head: 'own:Mine' is outside sequary" in line
    assert "an entry point of sequary.systems" in line
