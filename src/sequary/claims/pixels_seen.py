"""Exact: one outer and one inner block read every earlier pixel and no later one; masked rows alone miss the rows above.

Settings: `grid`, `dim`, `vocab`. System: the recipe with one block in either stack; baseline: the same model with as many attentions and
feed-forwards, all in the inner stack, and an outer stack that says nothing. Metric `pixels_seen`: of all pairs of a pixel and an
earlier one, the share in which the logits of the first have a gradient by the second. Exact parts: the system's share is 1; neither
model has a gradient by the pixel itself or a later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, drawn, reads
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Level, Levels
from sequary.models.raster import RasterModel
from sequary.train.seeds import generator


class Silent(Backbone):
    """y = 0: an outer stack that says nothing of the rows above."""

    causal = True

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        return (Level(torch.zeros_like(x_BTD), ctx.grid),)


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def arms(slug: str, settings: Mapping[str, Any]) -> tuple[Recipe, Recipe]:
    """An outer block holds two attentions and two feed-forwards, an inner one one of each: three inner blocks weigh the same."""
    recipe = load(slug).recipe
    assert recipe is not None
    small = recipe.but(dim=settings["dim"]).bind({"vocab": settings["vocab"], "grid": tuple(settings["grid"])})
    both = small.but(model__backbone__outer__depth=1, model__backbone__inner__depth=1)
    rows = small.but(model__backbone__outer=part(Silent), model__backbone__inner__depth=3)
    return both, rows


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    both, rows = (seen(recipe, claim.settings, seed) for recipe in arms(slug, claim.settings))
    earlier = torch.ones_like(both).tril(-1)
    share, alone = (float(read[earlier].double().mean()) for read in (both, rows))
    broken = ""
    if share < 1:
        broken = f"only {share:.3g} of the pairs with an earlier pixel have a gradient; all must"
    elif (both | rows)[~earlier].any():
        t, s = ((both | rows) & ~earlier).nonzero()[0].tolist()
        broken = f"the logits of pixel {t} have a gradient by pixel {s}, which is not earlier"
    return Trial(seed, share, alone, broken=broken)


def seen(recipe: Recipe, settings: Mapping[str, Any], seed: int) -> Tensor:
    """[T, T] bool: do the logits of a pixel read the other pixel?"""
    model, grid = drawn(recipe.build, seed), tuple(settings["grid"])
    assert isinstance(model, RasterModel)
    ids = torch.randint(0, settings["vocab"], (1, grid[0] * grid[1]), generator=generator(CPU, seed, "image"))
    x_BTD = model.tokens(ids, torch.arange(ids.shape[1])[None])
    return reads(lambda x: model.head(model.backbone(x, Ctx(grid=grid))[-1].x), x_BTD, seed=seed) > 0
