"""Recipes as data: there and back, and nothing from outside is ever named into being."""

from __future__ import annotations

import copy
import json
import sys
from typing import Any

import pytest

from sequary.core.catalogue import files, load
from sequary.core.plain import RecipeError
from sequary.core.recipe import Recipe


def plain(name: str) -> dict[str, Any]:
    recipe = load(name).recipe
    assert recipe is not None
    return json.loads(json.dumps(recipe.to_json()))


@pytest.mark.parametrize("name", sorted(files()))
def test_round_trip(name: str) -> None:
    system = load(name)
    if system.recipe is not None:
        assert Recipe.from_json(json.loads(json.dumps(system.recipe.to_json()))) == system.recipe


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "subprocess:Popen",
        "torch.nn:Linear",
        "builtins:eval",
        "core.plain:load.__globals__",
        "../x:y",
    ],
)
def test_outside_code_is_refused_and_not_imported(name: str) -> None:
    data = plain("dlinear")
    data["with"]["model"]["part"] = name
    before = set(sys.modules)
    with pytest.raises(RecipeError, match=r"outside sequary|no '|not defined there"):
        Recipe.from_json(data)
    assert "antigravity" not in set(sys.modules) - before


def test_a_name_that_a_module_merely_imports_is_refused() -> None:
    data = plain("dlinear")
    data["with"]["model"]["part"] = "models.forecaster:Stack"
    with pytest.raises(RecipeError, match="not defined there"):
        Recipe.from_json(data)


def test_a_function_is_no_part() -> None:
    data = plain("dlinear")
    data["with"]["model"]["part"] = "core.plain:load"
    with pytest.raises(RecipeError, match="not defined there as a type"):
        Recipe.from_json(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["with"].update(dim="many"), r"recipe\.dim: 'many' is not"),
        (lambda d: d["with"].update(depht=3), "takes no 'depht'"),
        (lambda d: d["with"]["model"].update(code="x"), "expected part/value and with"),
        (lambda d: d["with"]["model"]["with"]["head"]["with"].update(kernel=2.5), r"head\.kernel: 2\.5 is not"),
    ],
)
def test_wrong_arguments_are_named(change: Any, message: str) -> None:
    data = copy.deepcopy(plain("dlinear"))
    change(data)
    with pytest.raises(RecipeError, match=message):
        Recipe.from_json(data)


def test_unknown_systems_name_their_neighbours() -> None:
    with pytest.raises(KeyError, match="did you mean itransformer"):
        load("itransfomer")
    with pytest.raises(KeyError, match="in the catalogue but not built yet"):
        load("x-ecomla")
