"""The names of forms: a misspelt one is refused, and the list of them is what the ops say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sequary.ops.forms import FORMS, chosen, form

PACKAGE = Path(__file__).parents[2] / "src/sequary"


def test_a_form_that_no_op_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no op has a form 'chunkd'; use chunked"), form("chunkd"):
        pass
    assert chosen("mine") == "mine"


def test_no_form_is_the_choice_of_each_op() -> None:
    with form("reference"), form(""):
        assert chosen("fft") == "fft"


def said(node: ast.AST) -> set[str]:
    """The names in a call of `chosen`, and in a comparison with what it chose."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "chosen":
        (given,) = node.args
        values = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
    elif isinstance(node, ast.Compare) and ast.unparse(node.left) in {"picked", "asked"}:
        values = node.comparators
    else:
        return set()
    return {str(v.value) for v in values if isinstance(v, ast.Constant)} - {""}


def test_the_names_are_those_that_ops_ask_for() -> None:
    found = {"chunked"}  # said by `recurrent`, whose answer `chosen` is given
    for path in [*(PACKAGE / "ops").glob("*.py"), *(PACKAGE / "mixers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found |= said(node)
    assert found == FORMS
