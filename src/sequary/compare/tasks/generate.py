"""Images: the Fréchet distance of what is made to images that nobody learnt from. The floor is a Gaussian a class.

Images have no order, so they are drawn into one, and blocks of it take the place of origins: a model for choosing learns from
what lies before the first choice block, the final one from what lies before the first board block. For each block as many
images are made, of the same classes, and compared with it in the features of a small classifier that learnt before all blocks
(`tasks.frechet`). What chance does to such a distance is told beside: as many images of these classes, drawn from those learnt from.

The leak probe changes every image and class from the first block on, replays the training, and asks for images again: not a
pixel may move.
"""

from __future__ import annotations

import dataclasses
import hashlib
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sequary.compare import systems
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Fold, Plot
from sequary.compare.folds import MOST, TRAIN_SHARE, role
from sequary.compare.footprint import ROWS, Footprint, of
from sequary.compare.leak import STEPS
from sequary.compare.makers import Codes, GaussianEntrant, Maker, MakerEntrant, Pixels
from sequary.compare.options import BadArgument, Options
from sequary.compare.prepare import Prepared, arguments
from sequary.core.values import Batch
from sequary.data.errors import DataError
from sequary.data.images import ImageRows, Images, read_images
from sequary.data.roles import Columns
from sequary.tasks import saved
from sequary.tasks.frechet import Yardstick, frechet, yardstick
from sequary.tasks.generate.train import prepare as bound
from sequary.tasks.generate.train import side
from sequary.tasks.training import altered

MAKERS = ("var", "rar", "mar-diffusion-loss", "raster-codes")
"""Who takes part when nobody is named."""
LEAST = 200
"""Images of a comparison: a distance between a few says nothing."""
BLOCKS = (100, 250)
"""Images of a block, where there are enough: fewer blocks rather than smaller ones; more images would only cost time."""
PROBED = 8
"""Images for each block that the leak probe makes."""
REPEATS = 5


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ImageTask:
    images: Images
    """In the order of the blocks."""
    block: int
    starts: tuple[int, ...]
    roles: tuple[str, ...]
    stick: Yardstick
    real: tuple[Tensor, ...]
    """[block, features] of each block's images."""
    chance: tuple[float, ...]
    """Of each block, the distance to images that were learnt from."""

    def run(self, entrant: Any, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        here = self.of(role)
        learned: Maker = entrant.learn(self.images, self.starts[here[0]], ask)
        made = [learned.make(self.codes(k), self.seed(k, ask)) for k in here]
        distance, times, wrong = zip(*(self.score(k, each) for k, each in zip(here, made, strict=True)), strict=True)
        return Outcome(
            losses={"frechet": [[*distance]], "times_real": [[*times]], "wrong_class": [[*wrong]]},
            params=learned.params,
            train_s=learned.train_s,
            latency_ms=1000 * latency(learned, self.codes(here[-1])[:1]),
            curve=learned.curve,
            fixed=learned.fixed,
        )

    def of(self, role: str) -> list[int]:
        return [k for k, each in enumerate(self.roles) if each == role]

    def codes(self, k: int) -> Codes:
        """The classes of a block."""
        assert self.images.labels is not None
        return self.images.labels[self.starts[k] : self.starts[k] + self.block]

    def seed(self, k: int, ask: Ask) -> int:
        return 1000 * ask.seed + k

    def score(self, k: int, made: Pixels) -> tuple[float, float, float]:
        """Distance, the same in multiples of that between real images, and the share told to be of another class."""
        values = in_range(made)
        found = frechet(self.stick.features(values), self.real[k])
        right = self.stick.told(values).numpy() == self.codes(k)
        return found, found / self.chance[k], 1 - float(right.mean())

    def probe(self, entrant: Any, ask: Ask) -> list[float]:
        light = {"precision": "full", "batch": 4, **ask.setting} if entrant.trained else {}
        ask = ask.but(setting=light, steps=STEPS if entrant.trained else None, evaluations=STEPS)
        found: list[float] = []
        for each in dict.fromkeys(self.roles):
            here = self.of(each)
            stop = self.starts[here[0]]
            pair: list[Maker] = [entrant.learn(images, stop, ask) for images in (self.images, other(self.images, stop))]
            for k in here:
                one, two = (m.make(self.codes(k)[:PROBED], self.seed(k, ask)).astype(float) for m in pair)
                found.append(float(np.abs(one - two).max()))
        return found

    def plots(
        self, names: Sequence[str], drawn: Mapping[str, Mapping[str, dict[str, list[float]]]], ask: Ask
    ) -> list[Plot]:
        raise NotImplementedError("nothing of images is drawn as a curve")

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        recipe = bound(altered(entrant.recipe, ask.setting), self.images)
        edge, channels = side(recipe), self.images.pixels.shape[-1]
        return of(
            recipe, Batch(values=torch.zeros(ROWS, channels, edge, edge), cond=torch.zeros(ROWS, dtype=torch.long))
        )

    def rival_costs(self, entrant: Any, ask: Ask) -> dict[str, float]:
        raise NotImplementedError("images have a floor and systems, no rivals")

    def fitted_to(self, entrant: Any, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        raise NotImplementedError("images have a floor and systems, no rivals")

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        saved.save(entrant.fit(self.images, ask), folder)


def in_range(pixels: Pixels) -> Tensor:
    """[n, C, H, W] in [−1, 1]."""
    return ImageRows(Images(pixels)).batch(torch.arange(len(pixels))).values


def latency(learned: Maker, codes: Codes) -> float:
    """Seconds of one image: the median of a few."""
    times: list[float] = []
    for _ in range(REPEATS):
        began = perf_counter()
        learned.make(codes, 0)
        times.append(perf_counter() - began)
        if sum(times) > 1:
            break
    return statistics.median(times)


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


def lay(count: int) -> tuple[int, tuple[int, ...], tuple[Fold, ...]]:
    """Images of a block, where each begins, and the folds."""
    least, most = BLOCKS
    held = int((1 - TRAIN_SHARE) * count)
    blocks = min(MOST, max(2, held // least))
    size = min(most, held // blocks)
    starts = tuple(count - (blocks - k) * size for k in range(blocks))
    return size, starts, tuple(Fold(origin=str(s), role=role(k, blocks), horizon=size) for k, s in enumerate(starts))


def judged(images: Images, size: int, starts: Sequence[int]) -> tuple[Yardstick, tuple[Tensor, ...], tuple[float, ...]]:
    """The classifier, the features of each block, and what chance does: the distance to images of before, of the same classes."""
    assert images.labels is not None
    learnt, held = images.take(slice(starts[0])), images.take(slice(starts[0], None))
    stick = yardstick(ImageRows(learnt), ImageRows(held))
    real = tuple(stick.features(in_range(images.pixels[s : s + size])) for s in starts)
    rng = np.random.default_rng(0)
    draws = [alike(images.labels[: starts[0]], images.labels[s : s + size], rng) for s in starts]
    chance = [
        frechet(stick.features(in_range(images.pixels[rows])), each) for rows, each in zip(draws, real, strict=True)
    ]
    return stick, real, tuple(chance)


def alike(labels: Codes, wanted: Codes, rng: np.random.Generator) -> Codes:
    """Rows, each drawn once where there are enough, whose classes are those that are wanted."""
    found: list[Codes] = []
    for code, count in zip(*np.unique(wanted, return_counts=True), strict=True):
        rows = np.flatnonzero(labels == code)
        rows = rows if len(rows) else np.arange(len(labels))
        found.append(rng.choice(rows, count, replace=count > len(rows)))
    return np.concatenate(found)


def prepare(path: str | Path, given: Options, columns: Columns) -> Prepared:
    if columns != Columns() or given.season is not None or given.horizon is not None:
        raise BadArgument(f"{path} is images: they have no columns, no season and no horizon; leave them out")
    if given.metric not in (None, "frechet"):
        raise BadArgument(f"metric={given.metric!r}: boards of generators rank by frechet")
    images = read_images(path, least=LEAST)
    if images.labels is None:
        raise DataError(
            "the images have no labels", file=str(path), mend="add an array 'labels': the measure is a classifier's"
        )
    chosen = systems.select(given.systems, given.family, task="generate", default=MAKERS)
    entrants = [GaussianEntrant(), *(MakerEntrant(id, title) for id, title in chosen)]
    order = np.random.default_rng(0).permutation(len(images))
    images = dataclasses.replace(images, pixels=images.pixels[order], labels=images.labels[order])
    size, starts, folds = lay(len(images))
    stick, real, chance = judged(images, size, starts)
    roles = tuple(f.role for f in folds)
    level = statistics.mean(c for c, r in zip(chance, roles, strict=True) if r == "board")
    count, height, width, channels = images.pixels.shape
    rule = (
        f"{len(folds)} blocks of {size} images in an order that is drawn: {roles.count('choice')} to choose settings, then "
        f"{roles.count('board')} for the board; trained on what lies before the first of each, not trained again"
    )
    measure = (
        f"Fréchet distance in the features of a classifier that is right on {100 * stick.accuracy:.1f} % of images it did "
        f"not learn from; between real images it is {level:.3g}, and nothing has to be better than that"
    )
    return Prepared(
        task=ImageTask(images, size, starts, roles, stick, real, chance),
        name="generate",
        options=given,
        metric="frechet",
        ask=Ask(horizon=size),
        entrants=entrants,
        units=["images"],
        folds=list(folds),
        data={
            "file": str(path),
            "images": count,
            "pixels": f"{height} × {width} × {channels}",
            "classes": list(images.classes),
            "classifier's accuracy": stick.accuracy,
            "distance between real images": level,
            "notes": [rule, measure],
        },
        lines=(
            f"{path}: {count:,} images of {height} × {width} pixels, {len(images.classes)} classes",
            f"blocks: {rule}",
            f"measure: {measure}",
        ),
        suspects=[],
        drawn=(),
        arguments=arguments(given, "frechet", entrants, fingerprint(images)),
    )


def fingerprint(images: Images) -> str:
    assert images.labels is not None
    return hashlib.sha256(images.pixels.tobytes() + images.labels.tobytes()).hexdigest()
