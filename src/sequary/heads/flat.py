"""One answer for a whole window: its tokens side by side, and another head on that one vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sequary.core.contracts import Head
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.heads.values import Values


class Flat(Head):
    """[..., N, D] -> what `head` says of [..., N·D], token after token. N = `tokens`."""

    tiny = {"tokens": 3, "head": part(Values, outputs=2)}

    def __init__(self, dim: int, *, tokens: int, head: Part[Head], place: Place | None = None) -> None:
        super().__init__()
        self.head = head.build(Place.here(place, dim).at(dim=tokens * dim))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.head(hidden.flatten(-2))

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return self.head.loss(hidden.flatten(-2), target, rng)

    def mean(self, hidden: Tensor) -> Tensor:
        return self.head.mean(hidden.flatten(-2))

    def quantiles(self, hidden: Tensor, levels: Sequence[float]) -> Tensor:
        return self.head.quantiles(hidden.flatten(-2), levels)
