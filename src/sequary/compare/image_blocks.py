"""Blocks of held-out images, and what is measured on them: distances in the features of a classifier, and what chance does to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sequary.compare.board import Fold
from sequary.compare.folds import MOST, TRAIN_SHARE, role
from sequary.compare.makers import Codes, Pixels
from sequary.data.images import ImageRows, Images
from sequary.tasks.frechet import Yardstick, frechet, yardstick

LEAST = 200
"""Images of a comparison: a distance between a few says nothing."""
BLOCKS = (100, 250)
"""Images of a block, where there are enough: fewer blocks rather than smaller ones; more images would only cost time."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """`real` [block, features] of each block's images; `chance`, the distance of each to images of before, of the same classes."""

    stick: Yardstick
    real: tuple[Tensor, ...]
    chance: tuple[float, ...]

    def of(self, k: int, made: Pixels, codes: Codes) -> tuple[float, float, float]:
        """Distance to block k, the same in multiples of that between real images, and the share told to be of another class."""
        values = in_range(made)
        found = frechet(self.stick.features(values), self.real[k])
        right = self.stick.told(values).numpy() == codes
        return found, found / self.chance[k], 1 - float(right.mean())


def lay(count: int) -> tuple[int, tuple[int, ...], tuple[Fold, ...]]:
    """Images of a block, where each begins, and the folds."""
    least, most = BLOCKS
    held = int((1 - TRAIN_SHARE) * count)
    blocks = min(MOST, max(2, held // least))
    size = min(most, held // blocks)
    starts = tuple(count - (blocks - k) * size for k in range(blocks))
    return size, starts, tuple(Fold(origin=str(s), role=role(k, blocks), horizon=size) for k, s in enumerate(starts))


def judged(images: Images, size: int, starts: Sequence[int]) -> Measure:
    """By a classifier that learns from what lies before all blocks."""
    assert images.labels is not None
    learnt, held = images.take(slice(starts[0])), images.take(slice(starts[0], None))
    stick = yardstick(ImageRows(learnt), ImageRows(held))
    real = tuple(stick.features(in_range(images.pixels[s : s + size])) for s in starts)
    rng = np.random.default_rng(0)
    draws = [alike(images.labels[: starts[0]], images.labels[s : s + size], rng) for s in starts]
    chance = [
        frechet(stick.features(in_range(images.pixels[rows])), each) for rows, each in zip(draws, real, strict=True)
    ]
    return Measure(stick, real, tuple(chance))


def alike(labels: Codes, wanted: Codes, rng: np.random.Generator) -> Codes:
    """Rows, each drawn once where there are enough, whose classes are those that are wanted."""
    found: list[Codes] = []
    for code, count in zip(*np.unique(wanted, return_counts=True), strict=True):
        rows = np.flatnonzero(labels == code)
        rows = rows if len(rows) else np.arange(len(labels))
        found.append(rng.choice(rows, count, replace=count > len(rows)))
    return np.concatenate(found)


def in_range(pixels: Pixels) -> Tensor:
    """[n, C, H, W] in [−1, 1]."""
    return ImageRows(Images(pixels)).batch(torch.arange(len(pixels))).values


def other(images: Images, stop: int) -> Images:
    """From `stop` on turned over and noisy, each with the class of another."""
    assert images.labels is not None
    rng = np.random.default_rng(stop)
    tail = (255 - images.pixels[stop:]) ^ rng.integers(0, 64, images.pixels[stop:].shape, dtype=np.uint8)
    labels = (images.labels[stop:] + 1) % len(images.classes)
    return dataclasses.replace(
        images,
        pixels=np.concatenate([images.pixels[:stop], tail]),
        labels=np.concatenate([images.labels[:stop], labels]),
    )
