"""One answer for a whole window: the mean of its tokens, and another head on that."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.contracts import Head
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.heads.values import Values


class MeanPooled(Head):
    """[..., N, D] -> what `head` says of the mean over the N tokens. A token whose features are all 0 is padding and does not count,
    as `SeriesEncoder` leaves it."""

    tiny = {"head": part(Values, outputs=2)}
    toy = {"lead": (3, 2, 4)}

    def __init__(self, dim: int, *, head: Part[Head], place: Place | None = None) -> None:
        super().__init__()
        self.head = head.build(Place.here(place, dim))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.head(self._mean(hidden))

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return self.head.loss(self._mean(hidden), target, rng)

    def mean(self, hidden: Tensor) -> Tensor:
        return self.head.mean(self._mean(hidden))

    def _mean(self, hidden: Tensor) -> Tensor:
        real = (hidden != 0).any(-1).sum(-1, keepdim=True).clamp(min=1)
        return hidden.sum(-2) / real
