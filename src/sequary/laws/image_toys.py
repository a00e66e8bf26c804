"""Toys of models that make images from tokens: waves whose direction is the class; what is made of a class is compared with its image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.contracts import Decoder, Model, Objective
from sequary.core.recipe import Recipe, Stage
from sequary.core.values import Batch
from sequary.decode import masked, raster, scales
from sequary.decode.choice import Likeliest
from sequary.decode.guidance import UNGUIDED
from sequary.decode.masked import MaskedGroups
from sequary.decode.raster import CodeByCode
from sequary.decode.scales import ScaleByScale
from sequary.laws.toy import Toy
from sequary.laws.toy_data import Sizes
from sequary.models.tokenized import Tokenized, tokenized
from sequary.objectives.image_tokens import MaskedLatentTokens, NextGroup, PermutedTokens, Reconstruct
from sequary.tokens.image_vae import ImageVAE
from sequary.tokens.vq import VQ

IMAGES: Mapping[str, Any] = {"grid": (7, 7), "scales": (), "multiples": (1, 2, 2), "coder.channels": 1, "classes": 3}
"""The side is that of the grid, or of the last of the scales, doubled between the levels of the coder."""
RECONSTRUCT = Stage(name="tokenizer", objective=Reconstruct(), learns="tokenizer")


def class_images(at: Sizes) -> Tensor:
    """[classes, channels, side, side]: the image of each class."""
    cells = at["scales"][-1] if at["scales"] else at["grid"][0]
    side = cells * 2 ** (len(at["multiples"]) - 1)
    angle = math.pi * torch.arange(int(at["classes"]))[:, None, None] / int(at["classes"])
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (2 * math.pi * (x * angle.cos() + y * angle.sin()) / 4).cos()[:, None].repeat(1, at["coder.channels"], 1, 1)


def noisy(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """The image of a class, with noise; the target is the image without."""
    kind = torch.randint(int(at["classes"]), (rows,), generator=rng)
    clean = class_images(at)[kind]
    return Batch(values=clean + 0.1 * torch.randn(clean.shape, generator=rng), target=clean, cond=kind)


def bound(recipe: Recipe, at: Sizes) -> Recipe:
    return recipe.bind({"channels": at["coder.channels"], "classes": at["classes"]})


def mean_image(batch: Batch) -> float:
    """The squared error of the mean of all images."""
    assert batch.target is not None
    return F.mse_loss(batch.target.mean(0, keepdim=True).expand_as(batch.target), batch.target).item()


def of_another(batch: Batch) -> Batch:
    """Class and clean image of another row."""
    assert batch.target is not None
    assert batch.cond is not None
    return dataclasses.replace(batch, target=batch.target.roll(1, 0), cond=batch.cond.roll(1, 0))


def rebuilt_error(model: Model, batch: Batch) -> float:
    """Of the image that comes back from the tokenizer."""
    assert batch.target is not None
    tokenizer = tokenized(model).tokenizer
    return F.mse_loss(tokenizer.decode(tokenizer.encode(batch.values)), batch.target).item()


def made_error(decoder: Callable[[Tokenized], Decoder]) -> Callable[[Model, Batch], float]:
    """Of the image that a decoder makes, given the class alone."""

    def score(model: Model, batch: Batch) -> float:
        assert batch.target is not None
        prompt = Batch(values=torch.zeros(len(batch.target), 0), cond=batch.cond)
        made = decoder(tokenized(model))(model, prompt, torch.Generator().manual_seed(0))
        return F.mse_loss(made.raw, batch.target).item()

    return score


def by_scale(model: Tokenized) -> Decoder:
    return ScaleByScale(choice=Likeliest(), guidance=UNGUIDED)


def by_code(model: Tokenized) -> Decoder:
    assert isinstance(model.tokenizer, VQ)
    return CodeByCode(grid=model.tokenizer.grid, choice=Likeliest(), guidance=UNGUIDED)


def by_groups(model: Tokenized) -> Decoder:
    assert isinstance(model.tokenizer, ImageVAE)
    return MaskedGroups(grid=model.tokenizer.grid, guidance=UNGUIDED, temperature=0.0)


def staged(host: Callable[[], Recipe], *after: Objective) -> Callable[[], Recipe]:
    """The decoder's host, its tokenizer trained first."""
    stages = (RECONSTRUCT, *(Stage(name="prior", objective=objective, learns="prior") for objective in after))
    return lambda: dataclasses.replace(host(), stages=stages)


def toy(name: str, objective: type, score: Callable[[Model, Batch], float], host: Callable[[], Recipe]) -> Toy:
    return Toy(
        name=name,
        models=(Tokenized,),
        objectives=(objective,),
        spec=IMAGES,
        bind=bound,
        batch=noisy,
        score=score,
        floor=mean_image,
        host=host,
        shuffle=of_another,
    )


IMAGE_TOYS: tuple[Toy, ...] = (
    toy("images by scale", NextGroup, made_error(by_scale), staged(scales.host, NextGroup())),
    toy("images by code", PermutedTokens, made_error(by_code), staged(raster.host, PermutedTokens(grid=(2, 2)))),
    toy(
        "images by groups",
        MaskedLatentTokens,
        made_error(by_groups),
        staged(masked.host, MaskedLatentTokens(grid=(2, 2))),
    ),
    toy("images rebuilt", Reconstruct, rebuilt_error, staged(raster.host)),
)
