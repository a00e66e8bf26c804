"""A classifier of images as sources build it: tokens, stages, what lies between them, and a head, of any widths."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from sequary.backbones.downsample import Downsample
from sequary.blocks.norms import Norm
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.tokens.patches2d import ImageTokens


class Pieces(nn.Module):
    """`pooled_norm`: the norm acts on the mean over cells, and not on the cells before it. `head` None: the features are the answer."""

    def __init__(
        self,
        tokens: ImageTokens,
        stages: Sequence[Backbone],
        downs: Sequence[Downsample],
        norm: Norm,
        head: nn.Module | None,
        *,
        pooled_norm: bool = False,
    ) -> None:
        super().__init__()
        self.tokens, self.stages, self.downs = tokens, nn.ModuleList(stages), nn.ModuleList(downs)
        self.norm, self.head, self.pooled_norm = norm, head, pooled_norm

    def forward(self, image_BCHW: Tensor, ctx: Ctx = Ctx()) -> tuple[Tensor, list[tuple[Tensor, tuple[int, ...]]]]:
        """The answer, and the tokens and grid that enter the stages and that each of them gives."""
        x_BTD, grid = self.tokens(image_BCHW)
        ctx = Ctx(grid=grid, tape=ctx.tape, rng=ctx.rng)
        levels: list[tuple[Tensor, tuple[int, ...]]] = [(x_BTD, grid)]
        for number, stage in enumerate(self.stages):
            if number:
                x_BTD, ctx = self.downs[number - 1](x_BTD, ctx)
            x_BTD = stage(x_BTD, ctx)[-1].x
            levels.append((x_BTD, ctx.grid or ()))
        features = self.norm(x_BTD.mean(1)) if self.pooled_norm else self.norm(x_BTD).mean(1)
        return features if self.head is None else self.head(features), levels
