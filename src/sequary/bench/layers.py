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
INSIDE = ("sequary.mixers.mlp.", "sequary.mixers.identity", "sequary.mixers.conv.short", "sequary.blocks.normalised")
"""Mixers that serve others."""
HEADS = 4
PLAIN = (Attention, CausalAttention)


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """`part` of a system, to be built at any width; for one number of tokens where it must know that."""

    id: str
    part: Part[Mixer]

    def build(self, width: int, length: int | None = None) -> Mixer:
        part = self.part if length is None else told(self.part, {"length": length})
        return part.build(Place(width))


def layers(names: Iterable[str] | None = None) -> list[Layer]:
    """Of these systems, or of all mixers and blocks that are built, and the rivals."""
    if names is None:
        cards = {name: catalogue.card(name) for name in catalogue.files()}
        names = [*RIVALS, *(n for n, card in cards.items() if card.kind in ("mixer", "block"))]
    found = ((name, layer_of(name)) for name in names)
    return [Layer(name, told(part, {"heads": HEADS})) for name, part in found if part is not None]


def told(part: Part[Any], sizes: dict[str, int]) -> Part[Any]:
    """With these sizes wherever it names them, inside too."""
    return part.but(**{name: sizes[name] if name in sizes else inside(value, sizes) for name, value in part.kw})


def inside(value: Any, sizes: dict[str, int]) -> Any:
    if isinstance(value, tuple):
        return tuple(inside(v, sizes) for v in value)
    return told(value, sizes) if isinstance(value, Part) else value


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
    return not home.startswith(INSIDE) and (block or not home.startswith("sequary.blocks."))


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
    if not mixer.dims:
        grid = None
    elif 1 in mixer.dims:
        grid = (length,)
    else:
        axes = mixer.dims[0]
        side = round(length ** (1 / axes))
        side -= side % 8 if side >= 16 else 0  # windows and halos divide it
        grid, length = (side,) * axes, side**axes
    x = torch.randn(rows, length, width, generator=torch.Generator().manual_seed(0))
    return x, Ctx(grid=grid)
