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
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from sequary.compare import leak, systems
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Fold
from sequary.compare.footprint import ROWS, Footprint, of
from sequary.compare.image_blocks import LEAST, Measure, judged, lay, other
from sequary.compare.makers import Codes, GaussianEntrant, Maker, MakerEntrant
from sequary.compare.options import BadArgument, Options, without_levels
from sequary.compare.prepare import Prepared, arguments
from sequary.compare.task import Task
from sequary.compare.words import Words
from sequary.core.values import Batch
from sequary.data.errors import DataError
from sequary.data.images import Images, read_images
from sequary.data.roles import Columns
from sequary.tasks import saved
from sequary.tasks.generate.train import prepare as bound
from sequary.tasks.generate.train import side
from sequary.tasks.training import altered

WORDS = Words(
    one="image",
    many="batches of images",
    point="block",
    head="first image",
    hidden="every image and class from the first block on",
)

MAKERS = ("var", "rar", "mar-diffusion-loss", "raster-codes")
"""Who takes part when nobody is named."""
PROBED = 8
"""Images for each block that the leak probe makes."""
REPEATS = 5


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ImageTask(Task):
    images: Images
    """In the order of the blocks."""
    block: int
    starts: tuple[int, ...]
    roles: tuple[str, ...]
    measure: Measure

    def run(self, entrant: Any, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        here = self.of(role)
        learned: Maker = entrant.learn(self.images, self.starts[here[0]], ask)
        made = [learned.make(self.codes(k), self.seed(k, ask)) for k in here]
        distance, times, wrong = zip(
            *(self.measure.of(k, each, self.codes(k)) for k, each in zip(here, made, strict=True)), strict=True
        )
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

    def probe(self, entrant: Any, ask: Ask) -> list[float]:
        ask = leak.quick(entrant, ask)
        found: list[float] = []
        for each in dict.fromkeys(self.roles):
            here = self.of(each)
            stop = self.starts[here[0]]
            pair: list[Maker] = [entrant.learn(images, stop, ask) for images in (self.images, other(self.images, stop))]
            for k in here:
                one, two = (m.make(self.codes(k)[:PROBED], self.seed(k, ask)).astype(float) for m in pair)
                found.append(float(np.abs(one - two).max()))
        return found

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        recipe = bound(altered(entrant.recipe, ask.setting), self.images)
        edge, channels = side(recipe), self.images.pixels.shape[-1]
        return of(
            recipe, Batch(values=torch.zeros(ROWS, channels, edge, edge), cond=torch.zeros(ROWS, dtype=torch.long))
        )

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        saved.save(entrant.fit(self.images, ask), folder)


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


def prepare(path: str | Path, given: Options, columns: Columns) -> Prepared:
    """Longer than 40 lines because each thing that is prepared stands on one."""
    without_levels(given, "generators")
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
    roles = tuple(f.role for f in folds)
    measure = judged(images, size, starts)
    level = statistics.mean(c for c, r in zip(measure.chance, roles, strict=True) if r == "board")
    notes = described(folds, measure, level)
    count, height, width, channels = images.pixels.shape
    return Prepared(
        task=ImageTask(images, size, starts, roles, measure),
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
            "classifier's accuracy": measure.stick.accuracy,
            "distance between real images": level,
            "notes": list(notes),
        },
        lines=(f"{path}: {count:,} images of {height} × {width} pixels, {len(images.classes)} classes", *notes),
        suspects=[],
        drawn=(),
        arguments=arguments(given, "frechet", entrants, fingerprint(images)),
    )


def described(folds: Sequence[Fold], measure: Measure, level: float) -> tuple[str, str]:
    """How the images are parted, and what is measured on them."""
    choice = sum(fold.role == "choice" for fold in folds)
    rule = (
        f"blocks: {len(folds)} of {folds[0].horizon} images in an order that is drawn: {choice} to choose settings, then "
        f"{len(folds) - choice} for the board; trained on what lies before the first of each, not trained again"
    )
    by = (
        f"measure: Fréchet distance in the features of a classifier that is right on {100 * measure.stick.accuracy:.1f} % of "
        f"images it did not learn from; between real images it is {level:.3g}, and nothing has to be better than that"
    )
    return rule, by


def fingerprint(images: Images) -> str:
    assert images.labels is not None
    return hashlib.sha256(images.pixels.tobytes() + images.labels.tobytes()).hexdigest()
