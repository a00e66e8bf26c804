"""Steps of a series as tokens, each embedded with its neighbours by convolutions."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.mixers.conv.dense import ConvEmbedding
from sequary.tokens.series import SeriesTokens


class ConvSteps(SeriesTokens):
    """[B, L, C] -> [B, L, D] by `embedding`, a part that takes `inputs` = C channels. A token is real where any of its values is."""

    tiny = {"channels": 2}

    def __init__(
        self,
        dim: int,
        *,
        channels: int,
        embedding: Part[Mixer] = part(ConvEmbedding),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.embed = embedding.but(inputs=channels).build(Place.here(place, dim))

    def fold(self, values_BLC: Tensor, batch: Batch, ctx: Ctx) -> tuple[Tensor, Ctx]:
        if batch.token_mask is not None:
            ctx = dataclasses.replace(ctx, mask=batch.token_mask)
        return self.embed(values_BLC, ctx), ctx

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        """[B, 1, L, D]: the tokens belong to all channels."""
        return x[:, None]
