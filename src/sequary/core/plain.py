"""Recipes as data: parts and policies <-> JSON. Loading never imports what the data names outside sequary and its entry points."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import types
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from sequary.core.part import Part, Unfilled, checked

FOLDERS = (
    *("backbones", "blocks", "condition", "core", "data", "decode", "edit", "heads", "mixers", "models"),
    *("noise", "objectives", "orders", "probe", "tokens"),
)
SCALARS = (bool, int, float, str)


class RecipeError(ValueError):
    """A recipe that cannot be loaded: says which name or argument, and what would be allowed."""


def dump(value: Any) -> Any:
    """`value` as JSON types: parts as {"part": name, …}, frozen dataclasses as {"value": name, …}, holes as {"from_data": name}."""
    if value is None or isinstance(value, SCALARS):
        return value
    if isinstance(value, Unfilled):
        return {"from_data": value.name}
    if isinstance(value, Part):
        this = cast("Part[Any]", value)
        tie = {} if this.tie is None else {"tie": this.tie}
        return {"part": _name(this.cls), **tie, "with": {k: dump(v) for k, v in this.kw}}
    if isinstance(value, tuple):
        return [dump(v) for v in cast("tuple[Any, ...]", value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            "value": _name(type(value)),
            "with": {f.name: dump(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init},
        }
    if isinstance(value, types.FunctionType):
        return {"function": _name(value)}
    raise RecipeError(f"a recipe cannot hold {value!r}: use parts, frozen dataclasses, tuples, numbers and strings")


def load(data: Any, where: str = "recipe") -> Any:
    """The value that `dump` wrote. `where` is the path named in errors."""
    if data is None or isinstance(data, SCALARS):
        return data
    if isinstance(data, list):
        return tuple(load(v, f"{where}[{i}]") for i, v in enumerate(cast("list[Any]", data)))
    if not isinstance(data, dict):
        raise RecipeError(f"{where}: {type(data).__name__} is not JSON")
    table = cast("dict[str, Any]", data)
    if set(table) == {"from_data"}:
        return Unfilled(str(table["from_data"]))
    if set(table) == {"function"}:
        return _resolve(str(table["function"]), where, want=types.FunctionType)
    kind = next((k for k in ("part", "value") if k in table), None)
    extra = set(table) - {"part", "value", "with", "tie"}
    if kind is None or extra or not isinstance(table.get("with"), dict):
        raise RecipeError(f"{where}: expected part/value and with, found {sorted(table)}")
    cls: Any = _resolve(str(table[kind]), where, want=type)
    kw = {k: load(v, f"{where}.{k}") for k, v in cast("dict[str, Any]", table["with"]).items()}
    _fits(cls, kw, where)
    try:
        if kind == "value":
            if "__dataclass_fields__" not in vars(cls):
                raise RecipeError(f"{where}: {table[kind]} is not a value")
            return cls(**kw)
        return dataclasses.replace(checked(cls, kw), tie=table.get("tie"))
    except TypeError as error:
        raise RecipeError(f"{where}: {error}") from None


def _name(thing: Any) -> str:
    return f"{thing.__module__.removeprefix('sequary.')}:{thing.__qualname__}"


def _resolve(name: str, where: str, want: type) -> Any:
    module, _, attribute = name.partition(":")
    top = module.partition(".")[0]
    words = [*module.split("."), attribute]
    if top in FOLDERS and all(w.isidentifier() and not w.startswith("__") for w in words):
        full = f"sequary.{module}"
    elif any(e.value.partition(":")[0] == module for e in entry_points(group="sequary.systems")):
        full = module
    else:
        raise RecipeError(
            f"{where}: {name!r} is outside sequary ({', '.join(FOLDERS)}) and its entry points; it is not imported"
        )
    try:
        found = getattr(importlib.import_module(full), attribute)
    except (ImportError, AttributeError):
        raise RecipeError(f"{where}: this sequary has no {name!r}") from None
    if not isinstance(found, want) or found.__module__ != full:
        raise RecipeError(f"{where}: {name!r} is not defined there as a {want.__name__}")
    return found


def _fits(cls: Any, kw: Mapping[str, Any], where: str) -> None:
    """Scalars must have the annotated type; parts and tuples are checked where they are built."""
    known = inspect.signature(cls).parameters
    hints = get_type_hints(cls if "__dataclass_fields__" in vars(cls) else cls.__init__)
    for key, value in kw.items():
        if key not in known:
            raise RecipeError(f"{where}: {cls.__name__} takes no {key!r}; it takes {', '.join(known)}")
        options = get_args(hints[key]) if get_origin(hints[key]) in (Union, types.UnionType) else (hints.get(key),)
        if isinstance(value, SCALARS) and not any(_is(value, o) for o in options):
            raise RecipeError(f"{where}.{key}: {value!r} is not {hints[key]}")


def _is(value: Any, hint: Any) -> bool:
    if hint in (Any, None, object):
        return True
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint in SCALARS:
        return type(value) is hint
    return False
