"""A recipe opened up layer by layer, so that an edit can leave each layer with shapes of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sequary.backbones.stack import Stack
from sequary.core.part import Part
from sequary.core.recipe import Recipe


def stack_of(recipe: Recipe) -> Part[Any]:
    """The model's backbone, which must be a stack of blocks with parts."""
    backbone = recipe.model.get("backbone")
    if not isinstance(backbone, Part) or backbone.cls is not Stack:
        has = backbone.name if isinstance(backbone, Part) else "none"
        raise ValueError(
            f"it is opened up layer by layer, which needs a backbone Stack; {recipe.model.name} has {has}; "
            "choose a plain stack of blocks, such as gpt"
        )
    if any(block.tie is not None for block in backbone.get("blocks")):
        raise ValueError("layers are changed apart, and tied blocks are one module; choose a model without ties")
    return backbone


def unrolled(recipe: Recipe) -> tuple[Part[Any], ...]:
    """One block part a layer."""
    stack = stack_of(recipe)
    blocks, depth = stack.get("blocks"), stack.get("depth")
    return tuple(blocks[i % len(blocks)] for i in range(depth))


def parts(recipe: Recipe) -> Iterator[Part[Any]]:
    """Every part of every block; a block without `parts` is one itself."""
    for block in unrolled(recipe):
        yield from block.get("parts", (block,))


def places(recipe: Recipe, cls: tuple[type, ...]) -> Iterator[tuple[int, int, Part[Any]]]:
    """(layer, position in the block, part) of every part that builds one of `cls`."""
    for layer, block in enumerate(unrolled(recipe)):
        for index, inner in enumerate(block.get("parts", ())):
            if inner.cls in cls:
                yield layer, index, inner


def changed(recipe: Recipe, cls: tuple[type, ...], change: Callable[[int, Part[Any]], Part[Any]]) -> Recipe:
    """The recipe with a block a layer and `change(layer, part)` in place of every part that builds one of `cls`."""
    blocks = list(unrolled(recipe))
    for layer, index, inner in places(recipe, cls):
        parts = list(blocks[layer].get("parts"))
        parts[index] = change(layer, inner)
        blocks[layer] = blocks[layer].but(parts=tuple(parts))
    return recipe.but(model=recipe.model.but(backbone__blocks=tuple(blocks)))
