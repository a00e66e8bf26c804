"""Segments of every channel as a grid of tokens, step by step, so that one attention reads both axes."""

from __future__ import annotations

import dataclasses

from einops import rearrange
from torch import Tensor, nn

from sequary.core.ctx import Ctx
from sequary.core.values import Batch
from sequary.tokens.series import SeriesTokens


class Segments(SeriesTokens):
    """[B, L, C] -> [B, N · C, D] on the grid (N, C), N = ⌊L / `patch`⌋ segments: one linear map for all channels, any number of them.

    Where the patch does not divide the look-back its oldest steps are left out.
    """

    tiny = {"patch": 4}

    def __init__(self, dim: int, *, patch: int = 16) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(patch, dim)

    def fold(self, values_BLC: Tensor, batch: Batch, ctx: Ctx) -> tuple[Tensor, Ctx]:
        _, length, channels = values_BLC.shape
        if length < self.patch:
            raise ValueError(f"a look-back of {length} steps is shorter than patch={self.patch}; use patch={length}")
        segments = rearrange(values_BLC[:, length % self.patch :], "b (n p) c -> b (n c) p", p=self.patch)
        return self.embed(segments), dataclasses.replace(ctx, grid=(length // self.patch, channels))

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        return rearrange(x, "b (n c) d -> b c n d", c=batch.values.shape[2])
