"""An image classifier: tokens on a grid, a backbone, the mean of its coarsest level, a head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.backbones.pyramid import STAGE, Pyramid
from sequary.core.contracts import Head, Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Levels, Output
from sequary.heads.categorical import Categorical
from sequary.tokens.patches2d import ImageTokens, Patches


class ImageClassifier(Model):
    """values [B, channels, H, W] -> hidden [B, width], the mean over the cells of the coarsest level."""

    tiny = {
        "tokens": part(Patches, channels=3, patch=2),
        "backbone": part(Pyramid, stages=(STAGE, STAGE)),
        "head": part(Categorical, vocab=5, bias=True),
    }

    def __init__(
        self,
        dim: int,
        *,
        tokens: Part[ImageTokens],
        backbone: Part[Pyramid],
        head: Part[Head],
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.tokens = tokens.build(here)
        self.backbone = backbone.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here.at(dim=self.backbone.width))})

    def levels(self, image_BCHW: Tensor, tape: Tape | None = None, rng: torch.Generator | None = None) -> Levels:
        """Feature maps, finest first, for whatever reads several resolutions."""
        x, grid = self.tokens(image_BCHW)
        return self.backbone(x, Ctx(grid=grid, tape=tape, rng=rng))

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        if batch.observed is not None:
            raise ValueError("ImageClassifier reads whole images; crop or fill them instead of giving observed")
        return Output(self.levels(batch.values, tape, rng)[-1].x.mean(1))
