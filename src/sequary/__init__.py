"""sequary: every sequence model worth knowing is a short recipe of shared parts, and one command says which serves your data."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sequary.compare.run import compare
    from sequary.convert.source import from_source
    from sequary.convert.transformers.read import load_transformers
    from sequary.core.catalogue import load as system
    from sequary.core.part import FromData, Part, Tied, part
    from sequary.core.recipe import Recipe
    from sequary.tasks.saved import load

__version__ = "0.1.0"
__all__ = [
    "FromData",
    "Part",
    "Recipe",
    "Tied",
    "compare",
    "from_source",
    "load",
    "load_transformers",
    "part",
    "system",
]

_HOMES = {
    "FromData": ("core.part", "FromData"),
    "Part": ("core.part", "Part"),
    "Recipe": ("core.recipe", "Recipe"),
    "Tied": ("core.part", "Tied"),
    "compare": ("compare.run", "compare"),
    "from_source": ("convert.source", "from_source"),
    "load": ("tasks.saved", "load"),
    "load_transformers": ("convert.transformers.read", "load_transformers"),
    "part": ("core.part", "part"),
    "system": ("core.catalogue", "load"),
}


def __getattr__(name: str) -> Any:
    """Names are imported when they are first used, so that `import sequary` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sequary' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(f"sequary.{module}"), attribute)


class _Compare(ModuleType):
    """The folder `compare`, which can also be called as the function of that name."""

    def __call__(self, *args: Any, **kw: Any) -> Any:
        return __getattr__("compare")(*args, **kw)


class _Package(ModuleType):
    """Importing anything from the folder `compare` binds it here under the name of the function; so it becomes callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "compare" and isinstance(value, ModuleType):
            value.__class__ = _Compare
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
