"""A pyramid: stages of blocks at one resolution each, and a downsampler between two of them."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.backbones.downsample import Downsample, PatchMerging
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Level, Levels
from sequary.mixers.attention.window import WindowAttention
from sequary.mixers.mlp.dense import MLP

STAGE = part(Stack, depth=1, blocks=(part(PreNorm, parts=(part(WindowAttention, heads=2, window=2), part(MLP))),))


class Pyramid(Backbone):
    """Levels of `stages`, finest first: level i is what stage i gives, at the width and the grid that `down` left it.

    `norm` acts on the coarsest level.
    """

    tiny = {"stages": (STAGE, STAGE)}
    dims = (2,)

    def __init__(
        self,
        dim: int,
        *,
        stages: tuple[Part[Backbone], ...],
        down: Part[Downsample] = part(PatchMerging),
        norm: Part[Norm] = part(LayerNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        built: list[Backbone] = []
        downs: list[Downsample] = []
        for number, stage in enumerate(stages):
            if number:
                downs.append(down.build(here))
                here = here.at(dim=downs[-1].width)
            built.append(stage.build(here))
        self.stages, self.downs = nn.ModuleList(built), nn.ModuleList(downs)
        self.norm = norm.build(here)
        self.width = here.dim

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        levels: list[Level] = []
        for number, stage in enumerate(self.stages):
            if number:
                x_BTD, ctx = self.downs[number - 1](x_BTD, ctx)
            x_BTD = stage(x_BTD, ctx)[-1].x
            levels.append(Level(x_BTD, ctx.grid))
        return (*levels[:-1], Level(self.norm(x_BTD, ctx), ctx.grid))
