"""Codebooks: vectors [V, C], and which of them stands for a vector."""

from __future__ import annotations

import contextlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Codebook(nn.Module):
    """`vocab` vectors of `dim` features; subclasses say which is nearest."""

    def __init__(self, dim: int, *, vocab: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, dim)
        nn.init.normal_(self.table.weight, std=dim**-0.5)

    def forward(self, codes: Tensor) -> Tensor:
        """[...] codes -> [..., C]."""
        return self.table(codes)

    def nearest(self, z: Tensor) -> Tensor:
        """[..., C] -> [...] codes; carries no gradient. In full precision under autocast, where rounding would choose others."""
        full = contextlib.nullcontext() if z.is_meta else torch.autocast(z.device.type, enabled=False)
        with torch.no_grad(), full:
            return self.chosen(z.to(self.table.weight.dtype))

    def chosen(self, z: Tensor) -> Tensor:
        raise NotImplementedError


class Euclidean(Codebook):
    """argmin_v ‖z − e_v‖²."""

    def distances(self, z: Tensor) -> Tensor:
        """[..., C] -> [..., V] squared distances."""
        e = self.table.weight
        return z.square().sum(-1, keepdim=True) + e.square().sum(-1) - 2 * z @ e.t()

    def chosen(self, z: Tensor) -> Tensor:
        return self.distances(z).argmin(-1)


class Cosine(Codebook):
    """argmax_v z·e_v / (‖z‖ ‖e_v‖); the vector that stands in is e_v itself."""

    def chosen(self, z: Tensor) -> Tensor:
        return (F.normalize(z, dim=-1) @ F.normalize(self.table.weight, dim=-1).t()).argmax(-1)
