"""Laws of backbones beyond those of every sequence: their levels."""

from __future__ import annotations

import math

from sequary.core.contracts import Backbone
from sequary.laws.law import SEEDS, Law, finite, held
from sequary.laws.sequence import SequenceCase


def levels(case: SequenceCase) -> None:
    """At least one level, finest first, each [B, T, D] with a grid whose product is T."""
    for seed in SEEDS:
        module = case.build(seed)
        assert isinstance(module, Backbone)
        for spot in case.spots(7, 12):
            x, ctx = case.world(spot, seed)
            found = module(x, ctx)
            held(len(found) > 0, "no level")
            sizes = [level.x.shape[1] for level in found]
            held(sizes == sorted(sizes, reverse=True), f"levels of {sizes} tokens: finest first")
            for level in found:
                finite(level.x, "a level")
                held(
                    level.x.dim() == 3 and level.x.shape[0] == x.shape[0],
                    f"a level of shape {tuple(level.x.shape)}, not [B, T, D]",
                )
                if level.grid is not None:
                    held(
                        math.prod(level.grid) == level.x.shape[1],
                        f"a level of {level.x.shape[1]} tokens says grid {level.grid}",
                    )
            if case.declared().dims:
                held(
                    all(level.grid is not None for level in found),
                    "a backbone over grids must say the grid of each level",
                )


LAWS = (Law(name="levels", contract="backbone", catches="a level that is not its grid", check=levels),)
