"""A backbone over the cells of a map that hold anything: pillars of points in a bird's-eye view."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.backbones.pyramid import STAGE
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.core.values import Level, Levels


class Occupied(Backbone):
    """`inside` on a map whose empty cells, those whose features are all zero, are masked; and zero again in what comes out."""

    tiny = {"inside": STAGE}
    dims = (2,)

    def __init__(self, dim: int, *, inside: Part[Backbone], place: Place | None = None) -> None:
        super().__init__()
        self.inside = inside.build(Place.here(place, dim))
        self.dims = self.inside.dims

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        held = (x_BTD != 0).any(-1) if ctx.mask is None else (x_BTD != 0).any(-1) & ctx.mask
        levels = self.inside(x_BTD, dataclasses.replace(ctx, mask=held))
        return tuple(
            Level(torch.where(held[..., None], level.x, 0), level.grid) if level.grid == ctx.grid else level
            for level in levels
        )
