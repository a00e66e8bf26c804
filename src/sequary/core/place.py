"""Where a part stands in the network: what a constructor may know besides its own arguments."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """`dim` is the width here, `layer` of `depth` the block counted from 0, `memory_dim` the width of tokens attended across.

    `dim` is the first argument of every class. The others, and `place` itself for parts that build parts, reach a
    constructor only by its keyword of that name.
    """

    dim: int
    layer: int = 0
    depth: int = 1
    memory_dim: int | None = None
    ties: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    """Modules that several places share, by the name of their tie; one dictionary for one model."""

    def at(self, **changes: int | None) -> Place:
        """This place with another dim, layer, depth or memory_dim; ties stay shared."""
        return dataclasses.replace(self, **changes)

    @staticmethod
    def here(place: Place | None, dim: int) -> Place:
        """The place that a constructor was given, or a fresh one where a user calls the class directly."""
        return Place(dim) if place is None else place.at(dim=dim)
