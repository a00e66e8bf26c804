"""An autoregressive image model: symbols in raster order, each predicted from those before it."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from sequary.backbones.axial_raster import INNER, OUTER, AxialRaster
from sequary.backbones.stack import Stack
from sequary.core.contracts import Head, Model
from sequary.core.ctx import Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.categorical import Categorical
from sequary.tokens.symbols import Embedding


class RasterModel(Model):
    """[B, T] symbols of an image on the grid of the backbone, row by row -> hidden [B, T, D], whose head reads at t the symbol *at* t.

    The backbone must be strict: output t knows symbols 0..t−1 only. So the target of an image is the image itself.
    """

    tiny = {
        "tokens": part(Embedding, vocab=11),
        "backbone": part(
            AxialRaster,
            grid=(4, 6),
            outer=part(Stack, depth=1, blocks=(OUTER,)),
            inner=part(Stack, depth=1, blocks=(INNER,)),
        ),
        "head": part(Categorical, vocab=11),
    }

    def __init__(
        self,
        dim: int,
        *,
        tokens: Part[Embedding],
        backbone: Part[AxialRaster],
        head: Part[Head],
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.tokens = tokens.build(here)
        self.backbone = backbone.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        ids = batch.values
        ctx = dataclasses.replace(batch.ctx(tape, rng), grid=batch.grid or self.backbone.grid)
        x = self.tokens(ids, ctx.position_ids(ids.shape[0], ids.shape[1], ids.device))
        return Output(self.backbone(x, ctx)[-1].x)
