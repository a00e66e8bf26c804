"""Symbols as the first transformer embeds them: a scaled table and fixed positions (Vaswani et al., 2017, sections 3.4 and 3.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.tokens.symbols import Embedding


class Places(Member):
    """[B, T] positions -> [B, T, D], not learnt."""

    def forward(self, positions_BT: Tensor) -> Tensor:
        raise NotImplementedError


class SinePlaces(Places):
    """p[t, i] = sin(t / 10000^(2i/D)) for i < D/2, then the cosines of the same angles; an odd D drops the last cosine."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, positions_BT: Tensor) -> Tensor:
        # In float64: a bfloat16 angle is wrong by radians at position 300.
        even = torch.arange(0, self.dim, 2, dtype=torch.float64, device=positions_BT.device)
        angle = positions_BT[..., None] * torch.exp(even * (-math.log(10_000.0) / self.dim))
        return torch.cat((angle.sin(), angle.cos()), -1)[..., : self.dim]


class StoredPlaces(Places):
    """A table of `length` positions that came with the weights."""

    tiny = {"length": 8}

    def __init__(self, dim: int, *, length: int) -> None:
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", torch.zeros(length, dim))

    def forward(self, positions_BT: Tensor) -> Tensor:
        if positions_BT.shape[1] > len(self.table):
            raise ValueError(f"length {positions_BT.shape[1]} exceeds the {len(self.table)} positions of the weights")
        return self.table[positions_BT]


class ScaledSymbols(Member):
    """[B, T] ints -> `scale` · table + place; `scale` is √D unless given. Tie `words` to share the table.

    The table starts at a deviation of 1/√D, so that scaled vectors and the logits of a head that shares it have size 1.
    """

    tiny = {"words": part(Embedding, vocab=11)}

    def __init__(
        self,
        dim: int,
        *,
        words: Part[Embedding],
        places: Part[Places] = part(SinePlaces),
        scale: float | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.scale = dim**0.5 if scale is None else scale
        self.words = words.build(here)
        self.places = places.build(here)
        nn.init.normal_(self.words.table.weight, std=dim**-0.5)

    def forward(self, ids_BT: Tensor, positions_BT: Tensor) -> Tensor:
        x = self.words(ids_BT, positions_BT) * self.scale
        return x + self.places(positions_BT).to(x.dtype)
