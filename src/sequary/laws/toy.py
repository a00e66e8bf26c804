"""What a toy is: a task small enough to be learnt in 200 steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import torch

from sequary.core.contracts import Model
from sequary.core.part import Part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.laws.toy_data import Sizes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    name: str
    models: tuple[type, ...] = ()
    """Classes of models that it serves; empty: any."""
    objectives: tuple[type, ...] = ()
    """Classes of objectives that it serves; empty: any."""
    spec: Sizes
    bind: Callable[[Recipe, Sizes], Recipe]
    """Fills in what only data can give."""
    batch: Callable[[int, torch.Generator, Sizes], Batch]
    """(rows, rng, sizes) -> what the objective wants, drawn anew."""
    score: Callable[[Model, Batch], float]
    """Lower is better; what the floor is measured in."""
    floor: Callable[[Batch], float]
    """What a model scores that has learnt nothing but the marginals."""
    host: Callable[[], Recipe]
    """A tiny recipe, bound and shrunk: what objectives, decoders, edits and probes are tried on."""

    shuffle: Callable[[Batch], Batch] | None = None
    """How targets are permuted; None: each row gets the target of another."""

    def permuted(self, batch: Batch) -> Batch:
        if self.shuffle is not None:
            return self.shuffle(batch)
        assert batch.target is not None
        weight = None if batch.weight is None else batch.weight.roll(1, 0)
        return dataclasses.replace(batch, target=batch.target.roll(1, 0), weight=weight)

    def small(self, of: Any, rng: torch.Generator) -> Batch:
        """Three rows in the sizes of a recipe or part."""
        return self.batch(3, rng, sizes(of, self.spec))


def sizes(of: Any, spec: Sizes) -> Sizes:
    """`spec`, with what the arguments inside `of` say of the same names; "coder.channels" is `channels` of the part `coder` alone."""
    found: dict[str, Any] = dict(spec)

    def look(value: Any, owner: str) -> None:
        if isinstance(value, Part):
            for name, v in cast("Part[Any]", value).kw:
                if isinstance(v, int | tuple):
                    found.update({k: v for k in (name, f"{owner}.{name}") if k in spec})
                look(v, name)
        elif isinstance(value, tuple):
            for v in cast("tuple[Any, ...]", value):
                look(v, owner)

    look(of.model if isinstance(of, Recipe) else of, "")
    return found


def spelled(recipe: Recipe, at: Sizes) -> Recipe:
    """Every hole by its own name."""
    return recipe.bind(at)
