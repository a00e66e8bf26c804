"""Symbols of a document whose places are addresses in its tree (He et al., HDT, arXiv 2407.08330)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member


class TreePositions(nn.Module):
    """s · Σ over levels of the sinusoids of the index there; s is learned, 1/√D at first. An index 0 says (0, 1, 0, 1 …)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([dim**-0.5]))

    def forward(self, levels: list[Tensor], dim: int) -> Tensor:
        """Indices [B, T] of each level -> [B, T, dim]."""
        even = torch.arange(0, dim, 2, dtype=torch.float64, device=levels[0].device)
        # In float64: a bfloat16 angle is wrong by radians at position 300.
        angles = torch.stack(levels)[..., None] * torch.exp(even * (-math.log(10_000.0) / dim))
        table = torch.stack((angles.sin(), angles.cos()), -1).flatten(-2)[..., :dim].sum(0)
        return table.to(self.scale.dtype) * self.scale


class TreeSymbols(Member):
    """[B, T] ints in 0..vocab−1 at addresses [B, T] -> [B, T, D]; `sizes` as in `TreeAttention`. Stands where an `Embedding` may."""

    tiny = {"vocab": 11, "sizes": (4, 4)}

    def __init__(self, dim: int, *, vocab: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes
        self.table = nn.Embedding(vocab, dim)
        nn.init.normal_(self.table.weight, std=0.02)
        self.places = TreePositions(dim)

    def forward(self, ids_BT: Tensor, positions_BT: Tensor) -> Tensor:
        levels: list[Tensor] = []
        for size in self.sizes:
            levels.append(positions_BT % size)
            positions_BT = positions_BT // size
        return self.table(ids_BT) + self.places(levels, self.table.embedding_dim)
