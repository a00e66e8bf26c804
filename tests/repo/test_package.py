"""What a stranger gets: a catalogue of 461 rows, quick imports, and a wheel with everything that the code reads."""

from __future__ import annotations

import collections
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "polars", "sklearn", "matplotlib", "pandas", "statsforecast", "transformers")


def test_catalogue_has_461_rows_with_unique_slugs() -> None:
    lines = (ROOT / "src/sequary/catalogue.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 461
    assert [i for i, n in collections.Counter(row["id"] for row in rows).items() if n > 1] == []
    for row in rows:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["id"]), row["id"]
        assert row["title"].strip(), row["id"]
        assert row["kind"], row["id"]
        assert row["modalities"], row["id"]
        assert row["value"] in (1, 2, 3), row["id"]
        assert row.keys() <= {"id", "title", "kind", "modalities", "value", "arxiv", "year"}, row["id"]


# Which modules are loaded, never how long it took: a busy machine must not fail the suite.
@pytest.mark.parametrize(
    "arguments",
    [None, ["systems"], ["systems", "--all", "--json"], ["--help"]],
    ids=["import", "systems", "systems-all", "help"],
)
def test_no_heavy_module_is_imported(arguments: list[str] | None, tmp_path: Path) -> None:
    script = "import sys, sequary\n"
    if arguments is not None:
        script += (
            f"from sequary.cli.main import main\nsys.argv = ['sequary', *{arguments}]\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        )
    script += f"print(sorted(set({HEAVY}) & sys.modules.keys()), file=sys.stderr)\n"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    packed = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "src"
    files = {
        p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }
    assert {"sequary/py.typed", "sequary/catalogue.jsonl"} <= files
    assert sorted(files - packed) == []


def test_dependencies_are_bounded_below_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(x for extra in project["optional-dependencies"].values() for x in extra)]
    assert [w for w in wanted if not re.fullmatch(r"[A-Za-z0-9_-]+>=[0-9.]+", w)] == []


def test_makefile_says_the_mend_for_an_old_python(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2"\nexit 1\n')
    old.chmod(0o755)
    ready = tmp_path / "ready"
    done = subprocess.run(
        ["make", str(ready), f"READY={ready}", f"PYTHON={old}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert f"sequary needs Python 3.11 or newer, {old} is Python 3.9.2" in done.stderr
    assert "make demo PYTHON=" in done.stderr
