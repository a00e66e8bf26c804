"""PatchTST's self-supervised branch: patches of each channel in, hidden vectors of each patch out."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn

from sequary.backbones.residual_scores import ResidualScores
from sequary.core.contracts import Backbone, Head, Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.patches import PatchValues


def drawn(rows: int, rng: torch.Generator) -> Batch:
    """Patches of the tiny model's sizes."""
    x = torch.randn(rows, 5, 8, generator=rng)
    return Batch(values=x, target=x)


class PatchEncoder(Model):
    """values [B, N, C·P] (patches of all channels side by side) -> hidden [B, C, N, D]: channels are rows of their own.

    `own_embedding`: one patch map a channel instead of one for all. Section 3.2 of the paper: the same encoder as the
    forecaster's, on patches that do not overlap, some of them set to zero.
    """

    toy = {"batch": drawn}
    tiny = {
        "channels": 2,
        "patch": 4,
        "patches": 5,
        "backbone": part(ResidualScores, depth=1),
        "head": part(PatchValues, patch=4),
    }

    def __init__(
        self,
        dim: int,
        *,
        channels: int,
        patch: int,
        patches: int,
        backbone: Part[Backbone],
        head: Part[Head],
        own_embedding: bool = False,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.channels = channels
        self.embed = nn.ModuleList(nn.Linear(patch, dim) for _ in range(channels if own_embedding else 1))
        self.positions = nn.Parameter(torch.empty(patches, dim).uniform_(-0.02, 0.02))
        self.backbone = backbone.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        x = rearrange(batch.values, "b n (c p) -> b c n p", c=self.channels)
        maps = [self.embed[c % len(self.embed)] for c in range(self.channels)]
        rows = torch.stack([m(x[:, c]) for c, m in enumerate(maps)], 1) + self.positions
        hidden = self.backbone(rows.flatten(0, 1), Ctx(tape=tape, rng=rng))[0].x
        return Output(hidden.unflatten(0, (-1, self.channels)))
