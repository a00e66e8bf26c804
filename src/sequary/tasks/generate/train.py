"""Image generation: a recipe and images in, a tokenizer and its prior out."""

from __future__ import annotations

import torch

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.data.images import ImageRows, Images
from sequary.models.tokenized import Tokenized, tokenized
from sequary.tasks.generate.fitted import Fitted
from sequary.tasks.image_tokens import Rebuilt, TokenRows, rebuilt
from sequary.tasks.task import Tell
from sequary.tasks.training import Training, filled, learn
from sequary.tokens.image_vae import ImageVAE
from sequary.tokens.multiscale_vq import MultiScaleVQ
from sequary.tokens.vq import VQ
from sequary.train.device import device as device_named
from sequary.train.source import Source

PROBE = 128
"""Pixels of a side of the image that finds out how much smaller a tokenizer's grid is."""


def refuses(recipe: Recipe) -> str | None:
    """Why a recipe makes no images; None where it trains a tokenizer, then a prior over its tokens."""
    name = recipe.model.name
    if recipe.model.cls is not Tokenized:
        return f"{name} has no tokenizer of images and no prior over its tokens, so it makes none; choose var, rar or mar-diffusion-loss"
    if recipe.decode is None or [stage.learns for stage in recipe.stages] != ["tokenizer", "prior"]:
        return (
            f"{name} needs a decoder, and two stages that learn the tokenizer, then the prior; add them to the recipe"
        )
    return None


def prepare(recipe: Recipe, images: Images) -> Recipe:
    """The recipe with channels and number of classes filled in."""
    return filled(recipe.bind({"channels": images.pixels.shape[-1], "classes": len(images.classes)}), "images")


def side(recipe: Recipe) -> int:
    """Pixels of a side of the images that a bound recipe makes: built without memory."""
    with torch.device("meta"):
        tokenizer = tokenized(recipe.build()).tokenizer
        assert isinstance(tokenizer, VQ | MultiScaleVQ | ImageVAE)  # the tokenizers that stand on a grid
        cells = tokenizer.scales[-1] if isinstance(tokenizer, MultiScaleVQ) else tokenizer.grid[0]
        channels = int(recipe.model.get("tokenizer").get("coder").get("channels"))
        return cells * PROBE // tokenizer.coder.encoder(torch.zeros(1, channels, PROBE, PROBE)).shape[-1]


def train(
    recipe: Recipe,
    images: Images,
    asked: Training,
    *,
    tell: Tell = lambda line: None,
) -> Fitted:
    """Fit on nine tenths of the images; the tenth that is held out says what the tokenizer keeps, and draws the learning curve.

    `asked.steps` are the prior's; images have no context. `tell` is given one line between the stages.
    """
    reason = refuses(recipe)
    if reason is not None:
        raise ValueError(reason)
    where = device_named(asked.device)
    bound = prepare(asked.at(recipe), images)
    edge = side(bound)
    learnt, held = (ImageRows(part, side=edge) for part in images.parts())
    found: list[Rebuilt] = []

    def between(model: Model, source: Source, validation: Source | None) -> tuple[Source, Source]:
        found.append(rebuilt(model.cpu(), held.batch(torch.arange(len(held))).values))
        model.to(where)
        tell(words(found[0], len(held)))
        return TokenRows(model, learnt), TokenRows(model, held)

    trained, record = learn(bound, learnt, held, asked, between=between)
    height, width, channels = images.pixels.shape[1:]
    return Fitted(
        recipe=bound,
        model=trained.model,
        context=edge,
        record=record,
        device=str(where),
        height=height,
        width=width,
        channels=3 if channels == 3 else 1,
        classes=images.classes,
        rebuilt=found[0],
    )


def words(found: Rebuilt, count: int) -> str:
    """What a tokenizer keeps, on one line."""
    line = (
        f"tokenizer: reconstruction error {found.error:.5f} (mean square, pixels 0 to 1) on {count:,} held-out images"
    )
    if found.used is None or found.perplexity is None:
        return line
    return f"{line}; {100 * found.used:.0f} % of the codes used, perplexity {found.perplexity:.0f}"
