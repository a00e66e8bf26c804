"""A bidirectional model of discrete tokens: its head reads at each position the token that stands there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Backbone, Head, Model
from sequary.core.ctx import Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.tokens.symbols import Embedding

BLOCK = part(PreNorm, parts=(part(Attention, heads=2), part(MLP)))


class TokenEncoder(Model):
    """[B, T] tokens, some of them hidden -> [B, T, D] (BERT's masked language model, without next-sentence prediction)."""

    tiny = {
        "tokens": part(Embedding, vocab=11),
        "backbone": part(Stack, depth=1, blocks=(BLOCK,)),
        "head": part(Categorical, vocab=11),
    }

    def __init__(
        self,
        dim: int,
        *,
        tokens: Part[Embedding],
        backbone: Part[Backbone],
        head: Part[Head],
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.tokens = tokens.build(here)
        self.backbone = backbone.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        ctx = batch.ctx(tape, rng)
        ids: Tensor = batch.values
        x = self.tokens(ids, ctx.position_ids(ids.shape[0], ids.shape[1], ids.device))
        return Output(self.backbone(x, ctx)[-1].x)
