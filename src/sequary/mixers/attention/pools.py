"""Maps from n positions of a sequence to k of them, for Linformer's keys and values: E [n, k], the same or one for each head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member


class Pool(Member):
    """`length` n positions to `size` k. Built at the width of a head."""

    def matrix(self, like: Tensor) -> Tensor:
        """[1 or H, n, k], on the device and in the dtype of `like`."""
        raise NotImplementedError


class LearnedPool(Pool):
    """E learned, one for all heads (headwise sharing, section 4)."""

    tiny = {"length": 7, "size": 3}

    def __init__(self, dim: int, *, length: int, size: int) -> None:
        super().__init__()
        self.e = nn.Parameter(torch.empty(1, length, size).uniform_(-(size**-0.5), size**-0.5))

    def matrix(self, like: Tensor) -> Tensor:
        return self.e


class HeadPool(Pool):
    """E learned, one for each of `heads`."""

    tiny = {"length": 7, "size": 3, "heads": 2}

    def __init__(self, dim: int, *, length: int, size: int, heads: int) -> None:
        super().__init__()
        self.e = nn.Parameter(torch.empty(heads, length, size).uniform_(-(size**-0.5), size**-0.5))

    def matrix(self, like: Tensor) -> Tensor:
        return self.e


class MeanPool(Pool):
    """Means of `size` runs of ⌈length/size⌉ positions: nothing is learned (section 4, "general projections")."""

    tiny = {"length": 7, "size": 3}

    def __init__(self, dim: int, *, length: int, size: int) -> None:
        super().__init__()
        self.length, self.size = length, size

    def matrix(self, like: Tensor) -> Tensor:
        run = torch.arange(self.length, device=like.device) // -(-self.length // self.size)
        one = (run[:, None] == torch.arange(self.size, device=like.device)).to(like.dtype)
        return (one / one.sum(0).clamp(min=1))[None]
