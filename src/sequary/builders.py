"""Plain functions that return a `Recipe`: the shapes that most systems share."""

from __future__ import annotations

from typing import Any

from sequary.backbones.stack import Stack
from sequary.blocks.norms import Norm, RMSNorm
from sequary.core.contracts import Backbone, Head, Mixer
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.models.forecaster import Forecaster
from sequary.models.language import LanguageModel
from sequary.objectives.forecast import Forecast
from sequary.objectives.tokens import NextToken
from sequary.tokens.series import InstanceNorm, SeriesTokens, Windows
from sequary.tokens.symbols import Embedding

LM_TINY = (("dim", 32), ("model__backbone__depth", 2), ("model__tokens__vocab", 32), ("model__head__vocab", 32))


SPEAKING = Train(lr=1e-3, batch=8, steps=2000, warmup=0.05, betas=(0.9, 0.95), weight_decay=0.1, patience=5)
"""What small language models learn by on a laptop: the same for all, so that a comparison is one of models."""


def language_model(
    *,
    dim: int,
    depth: int,
    blocks: tuple[Part[Mixer], ...],
    vocab: int = FromData("vocab"),
    norm: Part[Norm] = part(RMSNorm),
    train: Train = SPEAKING,
    tiny: tuple[tuple[str, Any], ...] = LM_TINY,
) -> Recipe:
    """Symbols, a stack of causal blocks, next-token loss."""
    model = part(
        LanguageModel,
        tokens=part(Embedding, vocab=vocab),
        backbone=part(Stack, depth=depth, blocks=blocks, norm=norm),
        head=part(Categorical, vocab=vocab),
    )
    return Recipe(dim=dim, model=model, stages=(Stage(objective=NextToken(), train=train),), tiny=tiny)


def forecaster(
    *,
    dim: int,
    tokens: Part[SeriesTokens],
    backbone: Part[Backbone],
    head: Part[Head],
    scale: Part[Windows] = part(InstanceNorm),
    train: Train = Train(lr=1e-3, batch=32, steps=2000, patience=5),
    tiny: tuple[tuple[str, Any], ...] = (),
) -> Recipe:
    """Windows of a series to the horizon, squared error or whatever the head's loss is."""
    model = part(Forecaster, tokens=tokens, backbone=backbone, head=head, scale=scale)
    return Recipe(dim=dim, model=model, stages=(Stage(objective=Forecast(), train=train),), tiny=tiny)
