"""Pre-LN transformers rewritten without the mean that their layer norms remove (Jiang et al., arXiv 2305.14858).

A pre-LN block reads its stream through layer norms alone, so the stream's mean says nothing. Whatever writes to it is centred,
W ← (I − 11ᵀ/D) W; then layer norm is RMS norm. Features that add up to 0 need D − 1 numbers: the last, −Σ_i x_i, is left out, and
whoever reads the stream takes the last column of its map from the others.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.crms_norm import CRMSNorm
from sequary.blocks.norms import LayerNorm, Norm, RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Model
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe, Stage
from sequary.core.values import Batch, Edited
from sequary.edit.layers import parts, stack_of, unrolled
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.sized import SizedAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.language import LanguageModel
from sequary.objectives.tokens import NextToken
from sequary.tokens.symbols import Embedding

ROWS = re.compile(r"(^|\.)tokens\.(table|places)\.weight$")
"""Tables whose rows are written to the stream."""
WRITERS = re.compile(r"\.(o|down)\.(weight|bias)$")
READERS = re.compile(r"\.(qkv\.[qkv]|up|out)\.weight$")
BARE = part(LayerNorm, affine=False)


def centred(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All writers without the mean over the features of the stream. Differentiable."""
    made = dict(weights)
    for name, value in weights.items():
        if ROWS.search(name):
            made[name] = value - value.mean(-1, keepdim=True)
        elif WRITERS.search(name):
            made[name] = value - value.mean(0, keepdim=True)
    return made


def compressed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Centred, and without the last feature of the stream."""
    made = centred(weights)
    for name, value in made.items():
        if ROWS.search(name):
            made[name] = value[:, :-1]
        elif WRITERS.search(name):
            made[name] = value[:-1]
        elif READERS.search(name):
            made[name] = value[:, :-1] - value[:, -1:]
    return made


def host() -> Recipe:
    """What laws try the edits on."""
    block = part(PreNorm, parts=(part(SizedAttention, heads=2, width=8), part(MLP, hidden=24)), norm=BARE)
    model = part(
        LanguageModel,
        tokens=part(Embedding, vocab=5),
        backbone=part(Stack, depth=2, blocks=(block,), norm=BARE),
        head=part(Categorical, vocab=5),
    )
    return Recipe(dim=16, model=model, stages=(Stage(objective=NextToken()),))


@dataclasses.dataclass(frozen=True, slots=True)
class PreRMSNorm:
    """Layer norms become RMS norms; the same function, and no longer a mean to take."""

    toy: ClassVar[Mapping[str, object]] = {"host": host}

    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        norm = part(RMSNorm, eps=refuse(recipe).get("eps", 1e-5))
        return rebuilt(model, normed(recipe, norm), centred(model.state_dict()))


@dataclasses.dataclass(frozen=True, slots=True)
class PreCRMSNorm:
    """The stream loses its last feature as well, and norms become `CRMSNorm`."""

    toy: ClassVar[Mapping[str, object]] = {"host": host}

    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        norm = part(CRMSNorm, eps=refuse(recipe).get("eps", 1e-5))
        narrower = normed(recipe, norm).but(dim=recipe.dim - 1)
        return rebuilt(model, narrower, compressed(model.state_dict()))


def refuse(recipe: Recipe) -> Part[Norm]:
    """The layer norm of a pre-LN transformer; ValueError, with the mend, for any other model."""
    stack = stack_of(recipe)
    others = dict.fromkeys(b.name for b in unrolled(recipe) if b.cls is not PreNorm)
    if others:
        raise ValueError(f"only a pre-norm stream has no use for its mean; it has {', '.join(others)}, not PreNorm")
    norms = {stack.get("norm"), *(b.get("norm") for b in unrolled(recipe))}
    norm: Part[Norm] | None = stack.get("norm")
    if len(norms) > 1 or norm is None or norm.cls is not LayerNorm or norm.get("affine", True):
        raise ValueError(f"needs LayerNorm(affine=False) before each branch and at the end; it has {norms}")
    wrong = dict.fromkeys(p.name for p in parts(recipe) if p.cls not in (SizedAttention, MLP))
    if wrong:
        raise ValueError(f"knows the readers and writers of SizedAttention and MLP; it has {', '.join(wrong)}")
    if any(p.cls is MLP and p.get("hidden") is None for p in parts(recipe)):
        raise ValueError("MLP(hidden=…) must be given: a ratio would change with the width of the stream")
    if recipe.model.get("head").cls is not Categorical:
        raise ValueError(f"knows the reader Categorical as the head; it has {recipe.model.get('head').name}")
    return norm


def normed(recipe: Recipe, norm: Part[Norm]) -> Recipe:
    blocks = tuple(b.but(norm=norm) for b in unrolled(recipe))
    return recipe.but(model=recipe.model.but(backbone__blocks=blocks, backbone__norm=norm))


def rebuilt(model: Model, recipe: Recipe, weights: Mapping[str, Tensor]) -> Edited:
    """New norms keep the weights that they start with, all 1."""
    made = recipe.build().to(next(model.parameters()))
    made.load_state_dict({**made.state_dict(), **weights})
    count = sum(p.numel() for p in made.parameters())
    return Edited(made.train(model.training), recipe, {"parameters": float(count)})
