"""Patches of all channels together: each run of steps is one token."""

from __future__ import annotations

import dataclasses

from einops import rearrange
from torch import Tensor, nn

from sequary.core.ctx import Ctx
from sequary.core.values import Batch
from sequary.tokens.series import SeriesTokens


class JointPatches(SeriesTokens):
    """[B, L, C] -> [B, L / patch, D]: `patch` steps side by side, step by step and then channel by channel, and a linear map.

    `patch` = 1: each step is a token. A token is real where any of its values is; the mask goes on to the mixers.
    """

    tiny = {"channels": 2, "patch": 4}

    def __init__(self, dim: int, *, channels: int, patch: int = 1) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(patch * channels, dim)

    def fold(self, values_BLC: Tensor, batch: Batch, ctx: Ctx) -> tuple[Tensor, Ctx]:
        length = values_BLC.shape[1]
        if length % self.patch:
            raise ValueError(
                f"patch={self.patch} does not divide the {length} steps; use {length - length % self.patch}"
            )
        real = batch.token_mask
        if real is not None:
            ctx = dataclasses.replace(ctx, mask=real.unflatten(1, (-1, self.patch)).any(-1))
        return self.embed(rearrange(values_BLC, "b (n p) c -> b n (p c)", p=self.patch)), ctx

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        """[B, 1, N, D]: the tokens belong to all channels."""
        return x[:, None]
