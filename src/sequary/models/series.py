"""A multivariate series, all channels together, as a row of tokens: what classifiers and detectors of series share."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.postnorm import PostNorm
from sequary.core.contracts import Backbone, Head, Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.values import Values
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.tokens.joint_patches import JointPatches
from sequary.tokens.positions import NoPositions, Positions
from sequary.tokens.series import SeriesTokens

BLOCK = part(PostNorm, parts=(part(Attention, heads=2), part(MLP)))


class SeriesEncoder(Model):
    """values [B, T, C] -> hidden [B, N, D], 0 where a token is padding: tokens, positions, backbone, `activation`.

    `pretrain`: a head of its own (of that name) for a first stage that says something of each token.
    """

    tiny = {
        "tokens": part(JointPatches, channels=2),
        "backbone": part(Stack, depth=1, blocks=(BLOCK,)),
        "head": part(Values, outputs=2),
    }

    def __init__(
        self,
        dim: int,
        *,
        tokens: Part[SeriesTokens],
        backbone: Part[Backbone],
        head: Part[Head],
        positions: Part[Positions] = part(NoPositions),
        pretrain: Part[Head] | None = None,
        activation: Literal["gelu", "relu"] | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.activation = activation
        self.tokens = tokens.build(here)
        self.positions = positions.build(here)
        self.backbone = backbone.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})
        if pretrain is not None:
            self.heads["pretrain"] = pretrain.build(here)

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        x_BND, ctx = self.encode(batch, tape, rng)
        return Output(x_BND if ctx.mask is None else x_BND * ctx.mask[..., None])

    def encode(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> tuple[Tensor, Ctx]:
        """[B, N, D] with whatever stands at padding, and the context of the tokens."""
        x_BND, ctx = self.tokens.fold(batch.values, batch, Ctx(tape=tape, rng=rng))
        x_BND = self.backbone(self.positions(x_BND), ctx)[0].x
        if self.activation is not None:
            x_BND = F.gelu(x_BND) if self.activation == "gelu" else F.relu(x_BND)
        return x_BND, ctx
