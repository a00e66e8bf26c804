"""Hosts of one size: blocks of a short convolution, the layer and a feed-forward, whose width levels the parameters to those of softmax
attention's host."""

from __future__ import annotations

from sequary.bench.layers import Layer, layers
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.compare.footprint import parameters
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.mlp.swiglu import SwiGLU

DIM, DEPTH, HIDDEN = 64, 2, 256
APART = 0.05
STEP = 8
"""Widths of feed-forwards that are tried."""


def host(layer: Layer, hidden: int) -> Recipe:
    block = part(PreNorm, parts=(part(ShortConv), layer.part, part(SwiGLU, hidden=hidden)))
    return language_model(dim=DIM, depth=DEPTH, blocks=(block,))


def size(recipe: Recipe, vocab: int) -> int:
    return parameters(recipe.bind({"vocab": vocab}))


def level(layer: Layer, vocab: int) -> Recipe | None:
    """The host whose parameters come nearest to softmax attention's; None where the layer alone has more."""
    (gpt,) = layers(["gpt"])
    goal = size(host(gpt, HIDDEN), vocab)
    low = size(host(layer, STEP), vocab)
    each = (size(host(layer, 2 * STEP), vocab) - low) / STEP
    hidden = STEP * max(1, round((goal - low) / each / STEP) + 1)
    recipe = host(layer, hidden)
    return recipe if abs(size(recipe, vocab) - goal) <= APART * goal else None
