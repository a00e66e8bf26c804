"""The digits of claims about image generators: tokenizers trained once, priors over their tokens, samples."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.forecast_gain import shared
from sequary.core.catalogue import load
from sequary.core.contracts import Decoder, Model
from sequary.core.recipe import Recipe, Stage
from sequary.core.values import Batch, Sample
from sequary.data.images import ImageRows, read_images
from sequary.models.tokenized import tokenized
from sequary.tasks.frechet import Yardstick, yardstick
from sequary.tasks.image_tokens import TokenRows
from sequary.train.loop import fit
from sequary.train.seeds import derive, forked, generator

CPU = torch.device("cpu")
ROWS = 100
"""Images drawn at a time."""


@functools.cache
def digits() -> tuple[ImageRows, ImageRows]:
    """(9,000 to learn from, 1,000 held out)."""
    learnt, held = read_images(shared("mnist10k.npz")).parts()
    return ImageRows(learnt), ImageRows(held)


@functools.cache
def classifier() -> Yardstick:
    return yardstick(*digits())


def recipe_of(slug: str, changes: Mapping[str, Any]) -> Recipe:
    found = load(slug).recipe
    assert found is not None
    return found.bind({"channels": 1, "classes": 10}).but(**{path: frozen(value) for path, value in changes.items()})


def frozen(value: Any) -> Any:
    """Lists, as JSON has them, are tuples in a recipe."""
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def built(recipe: Recipe, seed: int) -> Model:
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        return recipe.build()


@functools.cache
def tokenizer(recipe: Recipe) -> Mapping[str, Tensor]:
    """The weights after the recipe's first stage, the same for all seeds of the prior."""
    model = built(recipe, 0)
    fit(model, recipe.stages[0], digits()[0], seed=0, progress=False)
    return tokenized(model).tokenizer.state_dict()


def ready(recipe: Recipe, seed: int) -> tuple[Model, TokenRows, TokenRows]:
    """Fresh weights of the prior over the trained tokenizer, and the tokens of both parts."""
    model = built(recipe, seed)
    tokenized(model).tokenizer.load_state_dict(tokenizer(recipe))
    model.eval()
    learnt, held = (TokenRows(model, rows) for rows in digits())
    return model, learnt, held


def prior_stage(recipe: Recipe, **train: Any) -> Stage:
    stage = recipe.stages[1]
    return dataclasses.replace(stage, train=dataclasses.replace(stage.train, **train))


def made(model: Model, decode: Decoder, count: int, seed: int) -> tuple[Tensor, Tensor, int]:
    """(`count` images, their classes in turn, calls of the model for one batch)."""
    classes = torch.arange(count) % 10
    rng = generator(CPU, seed, "samples")
    samples = [one(model, decode, c, rng) for c in classes.split(ROWS)]
    return torch.cat([s.raw for s in samples]), classes, samples[0].calls


@torch.no_grad()
def one(model: Model, decode: Decoder, classes_B: Tensor, rng: torch.Generator) -> Sample:
    return decode(model, Batch(values=torch.zeros(len(classes_B), 0), cond=classes_B), rng)
