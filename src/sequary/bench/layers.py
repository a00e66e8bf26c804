"""The layers that `bench mixers` measures: of each mixer or block that is built, the part that lets tokens meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from sequary.blocks.norms import Norm
from sequary.core import catalogue
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, Unfilled
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.full import Attention

RIVALS = ("gpt", "retention", "mamba-2", "gated-deltanet", "kda")
"""Reference systems that stand beside the catalogue's: softmax attention first."""
INSIDE = ("sequary.mixers.mlp.", "sequary.mixers.identity", "sequary.mixers.conv.short")
"""Mixers that serve others."""
HEADS = 4
PLAIN = (Attention, CausalAttention)


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """`part` of a system, to be built at any width."""

    id: str
    part: Part[Mixer]

    def build(self, width: int) -> Mixer:
        return self.part.build(Place(width))


def layers(names: Iterable[str] | None = None) -> list[Layer]:
    """Of these systems, or of all mixers and blocks that are built, and the rivals."""
    if names is None:
        cards = {name: catalogue.card(name) for name in catalogue.files()}
        names = [*RIVALS, *(n for n, card in cards.items() if card.kind in ("mixer", "block"))]
    found = ((name, layer_of(name)) for name in names)
    return [Layer(name, headed(part)) for name, part in found if part is not None]


def headed(part: Part[Any]) -> Part[Any]:
    """With `HEADS` heads wherever it names a number of them: the same for all, at any width."""
    return part.but(**{name: HEADS if name == "heads" else inside(value) for name, value in part.kw})


def inside(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(inside(v) for v in value)
    return headed(value) if isinstance(value, Part) else value


def layer_of(name: str) -> Part[Mixer] | None:
    """None where its parts are of sizes that only data give, or where nothing mixes."""
    system = catalogue.load(name)
    if system.recipe is None:
        return None
    block = system.card.kind == "block"
    found = [p for p in parts(system.recipe.model) if mixes(p, block=block) and not unfilled(p)]
    own = [
        p for p in found if p.cls not in PLAIN
    ]  # where a system keeps plain attention in some blocks, the other is its own
    return next(iter(own or found), None)


def mixes(part: Part[Any], *, block: bool) -> bool:
    """Whether it is the mixer, or, of a `block`, the whole of it."""
    cls: Any = part.cls
    if not (isinstance(cls, type) and issubclass(cls, Mixer)) or issubclass(cls, Norm):
        return False
    home = cls.__module__ + "."
    if home.startswith("sequary.blocks."):
        return block
    return not home.startswith(INSIDE)


def parts(value: Any) -> Iterator[Part[Any]]:
    """All parts inside, outer ones first, in the order in which they are written."""
    if isinstance(value, Part):
        yield value
        for _, inner in value.kw:
            yield from parts(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from parts(inner)


def unfilled(part: Part[Any]) -> bool:
    return any(isinstance(value, Unfilled) for inner in parts(part) for _, value in inner.kw)


def world(mixer: Mixer, length: int, width: int, rows: int) -> tuple[Tensor, Ctx]:
    """Tokens [B, T, D], as a square grid where the mixer needs one: T is then the square below `length`."""
    if not mixer.dims or 1 in mixer.dims:
        grid = None
    else:
        axes = mixer.dims[0]
        side = round(length ** (1 / axes))
        side -= side % 8 if side >= 16 else 0  # windows and halos divide it
        grid, length = (side,) * axes, side**axes
    x = torch.randn(rows, length, width, generator=torch.Generator().manual_seed(0))
    return x, Ctx(grid=grid)
