"""The file system is the registry. Listing reads files and imports nothing; loading imports one file."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sequary.core.card import Card, Claim

if TYPE_CHECKING:
    from sequary.core.recipe import Recipe

PACKAGE = Path(__file__).resolve().parents[1]


class UnknownSystem(KeyError):
    """No such system; names the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclasses.dataclass(frozen=True, slots=True)
class System:
    """A loaded system file."""

    id: str
    card: Card
    recipe: Recipe | None
    claim: Claim | None
    module: ModuleType
    sizes: Mapping[str, Mapping[str, Any]]
    """Named sizes: overrides of the recipe (`but`)."""
    tune: Mapping[str, tuple[Any, ...]]
    """Override path -> values worth trying when a comparison chooses settings; the first of each is the recipe's own."""
    variant: str | None = None
    """The alias under which it was asked for, where that names a recipe of its own (`nlinear`)."""


def slug(path: Path) -> str:
    """`_` for `-`, and a leading `_` before a digit: nat_neighborhood.py -> nat-neighborhood."""
    return path.stem.removeprefix("_").replace("_", "-")


@functools.cache
def files() -> dict[str, Path]:
    """Slug -> file of everything that is built."""
    found: dict[str, Path] = {}
    for path in sorted((PACKAGE / "systems").rglob("*.py")):
        if path.name == "__init__.py":
            continue
        if slug(path) in found:
            raise ValueError(f"two systems named {slug(path)}: {found[slug(path)]} and {path}")
        found[slug(path)] = path
    return found


@functools.cache
def rows() -> dict[str, dict[str, Any]]:
    """The catalogue: id -> {id, title, kind, modalities, value, …} of all systems, built or not."""
    lines = (PACKAGE / "catalogue.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


LITERAL = re.compile(r"^CARD = (Card\(\n.*?^\))", re.MULTILINE | re.DOTALL)


@functools.cache
def card(name: str) -> Card:
    """The literal CARD of a built system, read without importing it."""
    path = files()[name]
    found = LITERAL.search(path.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{path} has no literal CARD = Card(…) of several lines")
    call = ast.parse(found[1], mode="eval").body
    assert isinstance(call, ast.Call)
    return Card(**{k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg})


@functools.cache
def aliases() -> dict[str, str]:
    """Alias -> slug."""
    return {alias: name for name in files() for alias in card(name).aliases}


def load(name: str) -> System:
    """The system called `name`: a slug, an alias, a path to a .py file, or an entry point of `sequary.systems`."""
    if name.endswith(".py"):
        return _system(Path(name).stem, _from_path(Path(name)), None)
    known = aliases().get(name, name)
    if known in files():
        parts = files()[known].relative_to(PACKAGE).with_suffix("").parts
        return _system(known, importlib.import_module(".".join(("sequary", *parts))), name if name != known else None)
    for entry in entry_points(group="sequary.systems"):
        if entry.name == name:
            return _system(name, entry.load(), None)
    raise UnknownSystem(nearest(name))


def nearest(name: str) -> str:
    """One line for a name that is not built, with the nearest that are."""
    if name in rows():
        return f"{name} is in the catalogue but not built yet; `sequary systems` lists what is"
    near = difflib.get_close_matches(name, [*files(), *aliases()], n=3)
    return (
        f"no system {name!r}; did you mean {' or '.join(near)}?"
        if near
        else f"no system {name!r}; `sequary systems` lists them"
    )


def _from_path(path: Path) -> ModuleType:
    if not path.is_file():
        raise UnknownSystem(f"no file {path}; a system of your own is a .py file with CARD and RECIPE")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses look up their annotations there; a name that is taken stays
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        if sys.modules[path.stem] is module:
            del sys.modules[path.stem]
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and any((path.parent / end).exists() for end in (f"{missing}.py", missing)):
            raise UnknownSystem(
                f"{path} imports {missing}, which lies beside it: a system is one file, and nothing is searched for "
                f"there; put the code into {path.name}, or install {missing} as a package"
            ) from error
        raise
    return module


def _system(name: str, module: ModuleType, asked: str | None) -> System:
    variants: dict[str, Any] = getattr(module, "VARIANTS", {})
    recipe = variants.get(asked or "", getattr(module, "RECIPE", None))
    found: Card = getattr(module, "CARD", None) or Card(id=name, title=name, kind="own")
    claim: Claim | None = getattr(module, "CLAIM", None)
    sizes, tune = getattr(module, "SIZES", {}), getattr(module, "TUNE", {})
    return System(name, found, recipe, claim, module, sizes, tune, asked if asked in variants else None)
