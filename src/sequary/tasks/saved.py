"""A fitted model as a folder: recipe.json, weights.safetensors, contract.json. Nothing in it can run code."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from sequary.core.contracts import Model
from sequary.core.plain import RecipeError
from sequary.core.recipe import Recipe
from sequary.tasks.contract import FORMAT, Contract
from sequary.tasks.fitted import Fit
from sequary.tasks.folders import CONTRACT, WHOLE, write_folder
from sequary.tasks.task import Saved, SavedError, Task, names, task
from sequary.tasks.weights import packed, unpacked

RECIPE, WEIGHTS = WHOLE[CONTRACT]
AGAIN = "copy the whole folder again, or fit again"


def save(fitted: Fit, folder: str | Path) -> None:
    """Write the folder, whole or not at all; an earlier model of that name is replaced at the very end.

    Raises:
        OutputError: it cannot be written, or holds something else than a model, or beside one.
        RecipeError: the recipe has parts from outside sequary and its entry points, so that it could not be loaded.
    """
    write_folder(Path(folder), content(fitted), mark=CONTRACT)


def content(fitted: Fit) -> dict[str, bytes]:
    """The files of the folder, by name. Raises RecipeError as `save` does."""
    plain = fitted.recipe.to_json()
    Recipe.from_json(plain)
    versions = {"sequary": version("sequary"), "torch": torch.__version__, "python": platform.python_version()}
    contract = task(fitted.task).CONTRACT.of(fitted, versions).model_dump_json(indent=1)
    return {
        RECIPE: f"{json.dumps(plain, indent=1)}\n".encode(),
        WEIGHTS: packed(fitted.model),
        CONTRACT: f"{contract}\n".encode(),
    }


def load(folder: str | Path) -> Saved:
    """The model that `save` wrote, or that `sequary fit` or `sequary compare` left; what it can do depends on its task.

    Raises:
        SavedError: a file is missing, truncated or foreign, or of a newer format.
        RecipeError: the recipe names code outside sequary and its entry points; it is not imported.
    """
    path = Path(folder)
    if not path.is_dir():
        what = "this is a file, not the folder of a model" if path.exists() else "no such folder"
        raise SavedError(what, file=str(path), mend="name the folder that fit or compare wrote")
    own, contract = _contract(path / CONTRACT)
    try:
        recipe = Recipe.from_json(_json(path / RECIPE))
        model = unpacked(recipe, path / WEIGHTS)
    except RecipeError as error:
        raise RecipeError(f"{path / RECIPE}: {error}") from None
    assert isinstance(model, Model)
    try:
        fitted = own.reopen(recipe, model, contract)
    except ValueError as error:
        raise SavedError(str(error), file=str(path / RECIPE), mend=AGAIN) from error
    return own.SAVED(fitted, contract, str(path))


def _json(path: Path) -> Any:
    if not path.is_file():
        raise SavedError(f"{path.name} is missing, so this is no folder of a model", file=str(path.parent), mend=AGAIN)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise SavedError(f"it is truncated, or no JSON ({error})", file=str(path), mend=AGAIN) from None


def _contract(path: Path) -> tuple[Task, Contract]:
    data = _json(path)
    known = data if isinstance(data, dict) else {}
    number, name = known.get("format"), known.get("task")
    if isinstance(number, int) and number > FORMAT:
        what = f"it has format {number}, this sequary ({version('sequary')}) reads {FORMAT}"
        raise SavedError(what, file=str(path), mend="upgrade sequary")
    if name not in names():
        what = f"no contract of a model (task {name!r} is none that this sequary knows: {', '.join(names())})"
        raise SavedError(what, file=str(path), mend=AGAIN)
    own = task(name)
    try:
        return own, own.CONTRACT.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"no contract of a model ({where + ': ' if where else ''}{first['msg']})"
        raise SavedError(what, file=str(path), mend=AGAIN) from None
