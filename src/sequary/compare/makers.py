"""Who takes part in a comparison of image generators: a Gaussian a class, and systems, by one interface."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sequary.compare import candidates
from sequary.compare.ask import Ask
from sequary.compare.candidates import Catalogued, Ordinary, Untrained
from sequary.data.images import Images
from sequary.tasks.generate.fitted import Fitted
from sequary.tasks.generate.train import train

Codes = NDArray[np.int64]
Pixels = NDArray[np.uint8]


class Maker(candidates.Learned, Protocol):
    """What came of learning from images."""

    def make(self, codes: Codes, seed: int) -> Pixels:
        """[n, H, W, C], one image for each class."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Blurred(Untrained):
    """Per class, mean and deviation of each pixel."""

    mean: NDArray[np.float64]
    """[classes, H, W, C]."""
    deviation: NDArray[np.float64]

    def make(self, codes: Codes, seed: int) -> Pixels:
        noise = np.random.default_rng(seed).normal(size=(len(codes), *self.mean.shape[1:]))
        return (self.mean[codes] + noise * self.deviation[codes]).round().clip(0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True, slots=True)
class GaussianEntrant(Ordinary):
    """The floor: the mean image of the class and noise, each pixel for itself. A class never seen looks like all images."""

    id: str = "class-gaussian"
    title: str = "Mean image of the class, and the noise of each pixel"

    def learn(self, images: Images, stop: int, ask: Ask) -> Blurred:
        known = images.take(slice(stop))
        assert known.labels is not None
        groups = [known.pixels[known.labels == code] for code in range(len(images.classes))]
        groups = [group if len(group) else known.pixels for group in groups]
        return Blurred(np.stack([g.mean(0) for g in groups]), np.stack([g.std(0) for g in groups]))


@dataclasses.dataclass(frozen=True, slots=True)
class Trained(candidates.Trained[Fitted]):
    def make(self, codes: Codes, seed: int) -> Pixels:
        decode = self.fitted.recipe.decode
        assert decode is not None
        return self.fitted.draw(codes, decode=decode, seed=seed)


@dataclasses.dataclass(frozen=True, slots=True)
class MakerEntrant(Catalogued):
    def learn(self, images: Images, stop: int, ask: Ask) -> Trained:
        return Trained(self.fit(images.take(slice(stop)), ask))

    def fit(self, images: Images, ask: Ask) -> Fitted:
        return train(self.recipe, images, self.training(ask))
