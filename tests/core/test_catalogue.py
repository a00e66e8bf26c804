"""Systems by name and by file: what is not there is said with what is near; a file of one's own is one file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sequary.core import catalogue
from sequary.core.catalogue import UnknownSystem

BASE = "from sequary.systems.forecasting.ltsf_linear import RECIPE\n"


def test_near_names_are_offered_and_far_ones_are_not() -> None:
    assert "did you mean patchtst" in catalogue.nearest("patchtsd")
    assert catalogue.nearest("gibberish") == "no system 'gibberish'; `sequary systems` lists them"


def test_a_file_of_ones_own_may_hold_dataclasses(tmp_path: Path) -> None:
    own = tmp_path / "held.py"
    own.write_text(
        "from __future__ import annotations\nimport dataclasses\n"
        "@dataclasses.dataclass(frozen=True)\nclass Kept:\n    width: int = 3\n" + BASE
    )
    assert catalogue.load(str(own)).module.Kept(4).width == 4


def test_a_module_beside_a_file_is_not_found_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("x = 1\n")
    own = tmp_path / "needy.py"
    own.write_text("import helper\n" + BASE)
    with pytest.raises(UnknownSystem, match=r"needy.py imports helper, which lies beside it: a system is one file"):
        catalogue.load(str(own))
    own.write_text("import helper_that_is_nowhere\n")
    with pytest.raises(ModuleNotFoundError, match="helper_that_is_nowhere"):
        catalogue.load(str(own))
    assert "needy" not in sys.modules


def test_a_file_called_like_a_module_does_not_take_its_place(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text(BASE)
    assert catalogue.load(str(tmp_path / "json.py")).recipe is not None
    assert sys.modules["json"] is json
