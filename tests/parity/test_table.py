"""docs/parity.md is up to date: its cases, oracles and declined values are told from the sources; its figures took a replay."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest

from sequary.convert.goldens import cases
from sequary.convert.table import beside, declined, line, main, measured, oracles, systems
from sequary.core.catalogue import PACKAGE, files, slug
from tests.parity.oracles_attention import ORACLES as ATTENTION
from tests.parity.oracles_blocks import ORACLES as BLOCKS
from tests.parity.oracles_fla import ORACLES as FLA
from tests.parity.oracles_language import ORACLES as LANGUAGE
from tests.parity.oracles_recurrences import ORACLES as RECURRENCES

HERE = Path(__file__).parent / "goldens"
DOCS = Path(__file__).parents[2] / "docs" / "parity.md"
SHARED = Path(os.environ.get("SEQUARY_GOLDENS", Path(__file__).parents[3] / "shared" / "goldens"))
OF = {"temporal_fusion_columns": "temporal-fusion-transformer", "snn_surrogates": "snn-dcls-delays"}


def test_every_live_oracle_has_its_row() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, (ours, _) in (FLA | ATTENTION | BLOCKS | LANGUAGE | RECURRENCES).items():
        (error,) = re.findall(rf"^\| {re.escape(name)} \| {re.escape(ours)} \| (.*) \|$", text, re.MULTILINE)
        assert float(error) <= 1e-5


def test_an_oracle_that_is_off_is_an_error_and_no_row(tmp_path: Path) -> None:
    (tmp_path / "oracles_bad.py").write_text(
        "import torch\nORACLES = {'theirs': ('ours', lambda: [(torch.zeros(2), torch.full((2,), 1e-4))])}\n"
    )
    with pytest.raises(ValueError, match=r"oracles_bad.py: theirs is off by 1.0e-04"):
        beside(tmp_path)


def rows() -> dict[str, list[str]]:
    found = [
        text.strip("|").split(" | ") for text in DOCS.read_text(encoding="utf-8").splitlines() if text.startswith("| `")
    ]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells] for cells in found}


def test_every_system_has_its_row() -> None:
    assert list(rows()) == systems()


@pytest.mark.parametrize("name", systems())
def test_a_row_says_what_is_there_now(name: str) -> None:
    told, folder = rows()[name], HERE / name
    assert told[1] == ("; ".join(oracles(folder)) or told[1])
    assert int(told[2]) == (len(cases(folder)) if folder.is_dir() else 0)
    assert told[5] == declined(name)


def test_the_command_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sequary.convert.table.systems", lambda: ["fnetar", "ltsf-linear"])
    monkeypatch.setattr("sequary.convert.table.beside", lambda folder: ["| theirs | ours | 5e-7 |"])
    main(str(HERE), str(tmp_path / "parity.md"))
    made = (tmp_path / "parity.md").read_text(encoding="utf-8").splitlines()
    assert line(measured("ltsf-linear", HERE / "ltsf-linear")) in made
    assert f"{len(cases(HERE / 'ltsf-linear'))} cases of 1 systems." in made
    assert "| theirs | ours | 5e-7 |" in made


def test_recorded_errors_are_within_tolerance() -> None:
    for name, cells in rows().items():
        kinds = (
            {json.loads(path.read_text(encoding="utf-8"))["dtype"] for path in cases(HERE / name)}
            if cells[2] != "0"
            else set[str]()
        )
        most = 1e-5 if "float32" in kinds else 1e-9
        for figure in cells[3:5]:
            assert figure == "–" or float(figure) <= most, f"{name}: {figure}"


@pytest.mark.parametrize("folder", [p for p in sorted(HERE.iterdir()) if p.is_dir()], ids=lambda p: p.name)
def test_no_shared_case_is_missing(folder: Path) -> None:
    theirs = SHARED / folder.name
    if not theirs.is_dir():
        pytest.skip(f"{theirs} is not beside this checkout")
    missing = {p.name for p in theirs.iterdir() if p.suffix in (".json", ".safetensors")} - {
        p.name for p in folder.iterdir()
    }
    assert not missing


def named(path: Path) -> set[str]:
    """Arguments that a converter's `raise Declined("name=…` names, but which class the weights come from."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Declined":
            text = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            if isinstance(text, ast.Constant) and (match := re.match(r"(\w+)=", str(text.value))):
                found.add(match[1])
    return found - {"source", "weights"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "convert").glob("*.py")), ids=lambda p: p.stem)
def test_what_is_declined_stands_on_the_card(path: Path) -> None:
    name = OF.get(path.stem, slug(path))
    if name not in files():
        assert not named(path)
        return
    assert [word for word in sorted(named(path)) if word not in declined(name)] == []
