"""A head of its own hidden layer in front of a shared vocabulary projection, for predicting further ahead."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Head
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.heads.categorical import Categorical


class Ahead(Head):
    """logits = out(h + W2 relu(W1 h)); tie `out` to share the vocabulary (blockwise parallel decoding, section 6)."""

    tiny = {"out": part(Categorical, vocab=11)}

    def __init__(self, dim: int, *, out: Part[Categorical], ratio: float = 4.0, place: Place | None = None) -> None:
        super().__init__()
        width = round(ratio * dim)
        self.up, self.down = nn.Linear(dim, width), nn.Linear(width, dim)
        self.out = out.build(Place.here(place, dim))

    def further(self, hidden: Tensor) -> Tensor:
        return hidden + self.down(F.relu(self.up(hidden)))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(self.further(hidden))

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return self.out.loss(self.further(hidden), target, rng)

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        return self.out.sample(self.further(hidden), rng, temperature)
