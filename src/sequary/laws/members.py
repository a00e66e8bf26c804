"""Members: what the laws are run over, found by walking files.

Every public class in a contract folder is a member of the contract that it fits:

* modules (subclasses of `core.contracts.Member`) by the interface they derive from: Mixer, Norm, Windows, SeriesTokens,
  Tokens, Backbone, Head, Model. A class that others derive from is an interface itself, and is not built;
* policies (frozen dataclasses) by the methods they have: `plan` is an order, `corrupt` and `steps` a noise, and `__call__`
  an objective (model, batch, rng), a decoder (model, prompt, rng), an edit (model, recipe, …) or a probe (model, batches).

A tiny one is `cls(16, **tiny)` for modules and `cls(**tiny)` for policies. What the laws cannot guess stands in `toy`, a class
attribute that few need (a mapping; keys in docs/laws.md). Neither is read by anything but the laws.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from sequary.blocks.norms import Norm
from sequary.core.catalogue import PACKAGE
from sequary.core.contracts import Backbone, Head, Member, Mixer, Model, Tokens
from sequary.core.part import Part
from sequary.core.state import State
from sequary.tokens.series import SeriesTokens, Windows

FOLDERS = (
    *("mixers", "blocks", "backbones", "heads", "tokens", "condition", "models"),
    *("orders", "noise", "objectives", "decode", "edit", "probe"),
)
INTERFACES: tuple[tuple[type[Member], str], ...] = (
    (Mixer, "mixer"),
    (Norm, "norm"),
    (Windows, "windows"),
    (SeriesTokens, "series"),
    (Tokens, "tokens"),
    (Backbone, "backbone"),
    (Head, "head"),
    (Model, "model"),
    (Member, "member"),
)
CALLS = (
    (("model", "recipe"), "edit"),
    (("model", "prompt"), "decoder"),
    (("model", "batches"), "probe"),
    (("model", "batch"), "objective"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """A member, and how a tiny one is built. For a recipe `cls` is None and `toy["system"]` holds it."""

    name: str
    contract: str
    cls: Any
    tiny: Mapping[str, Any]
    exempt: Mapping[str, str]
    toy: Mapping[str, Any]


def contract_of(cls: type) -> str | None:
    """The contract that a class fits, or None for a helper."""
    if issubclass(cls, Member):
        return next(name for base, name in INTERFACES if issubclass(cls, base))
    if not dataclasses.is_dataclass(cls) or issubclass(cls, State):
        return None
    methods = {name for name, _ in inspect.getmembers(cls, inspect.isfunction)}
    if "plan" in methods:
        return "order"
    if {"corrupt", "steps"} <= methods:
        return "noise"
    if "__call__" not in methods:
        return None
    first = tuple(inspect.signature(cls.__call__).parameters)[1:3]
    return next((name for names, name in CALLS if names == first), None)


def subject(cls: type, tiny: Mapping[str, Any] | None = None) -> Subject:
    """A class as a subject of the laws; `tiny` instead of its own."""
    contract = contract_of(cls)
    if contract is None:
        raise TypeError(
            f"{cls.__qualname__} fits no contract: derive from one of core.contracts, or give it their methods"
        )
    own: Any = cls
    name = f"{cls.__module__.removeprefix('sequary.')}:{cls.__qualname__}"
    built = getattr(own, "tiny", {}) if tiny is None else tiny
    return Subject(name, contract, cls, built, getattr(own, "exempt", {}), getattr(own, "toy", {}))


def of_part(part: Part[Any]) -> Subject:
    """A part with the arguments that it was given (at width 16)."""
    cls: Any = part.cls
    return subject(cls, dict(part.kw))


def public(module: ModuleType) -> Iterator[type]:
    """Classes that a module defines itself and does not hide."""
    for name, thing in vars(module).items():
        if inspect.isclass(thing) and not name.startswith("_") and thing.__module__ == module.__name__:
            yield thing


def members(modules: Iterable[ModuleType]) -> list[Subject]:
    """The members that these modules define, but for interfaces: classes that another one derives from."""
    classes = [cls for module in modules for cls in public(module)]
    bases = {base for cls in classes for base in cls.__mro__[1:]}
    return [subject(cls) for cls in classes if cls not in bases and contract_of(cls) is not None]


def package() -> list[ModuleType]:
    """All modules of the contract folders."""
    return [
        importlib.import_module(".".join(("sequary", *path.relative_to(PACKAGE).with_suffix("").parts)))
        for folder in FOLDERS
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if path.name != "__init__.py"
    ]
