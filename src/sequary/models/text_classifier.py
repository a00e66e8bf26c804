"""A bidirectional encoder of symbols with one answer a row, as BERT has it (Devlin et al., 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.postnorm import PostNorm
from sequary.core.contracts import Backbone, Head, Model
from sequary.core.ctx import Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.pooled import FirstTokenClass
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.tokens.symbols import Embedding

BLOCK = part(PostNorm, parts=(part(Attention, heads=2), part(MLP)))


class TextClassifier(Model):
    """values [B, T] ints, `static` [B, T] kinds of token where there are several -> hidden [B, T, D]; the head reads it all."""

    tiny = {
        "tokens": part(Embedding, vocab=11, positions=40),
        "backbone": part(Stack, depth=1, blocks=(BLOCK,)),
        "head": part(FirstTokenClass, classes=3),
    }

    def __init__(
        self,
        dim: int,
        *,
        tokens: Part[Embedding],
        backbone: Part[Backbone],
        head: Part[Head],
        kinds: int = 1,
        norm: Part[Norm] = part(LayerNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.tokens = tokens.build(here)
        self.kinds = nn.Embedding(kinds, dim)
        self.norm = norm.build(here)
        self.backbone = backbone.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        ctx, ids = batch.ctx(tape, rng), batch.values
        kinds = torch.zeros_like(ids) if batch.static is None else batch.static
        x = self.tokens(ids, ctx.position_ids(ids.shape[0], ids.shape[1], ids.device)) + self.kinds(kinds)
        return Output(self.backbone(self.norm(x, ctx), ctx)[0].x)


def logits(model: Model, batch: Batch) -> Tensor:
    """[B, classes] of the main head."""
    return model.head(model(batch).hidden)
