"""Who takes part in a comparison of image generators: a Gaussian a class, and systems, by one interface."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sequary.compare.ask import Ask
from sequary.compare.entrants import Kind, Point
from sequary.compare.systems import frozen, plain, settings_of
from sequary.core import catalogue
from sequary.core.recipe import Recipe
from sequary.data.images import Images
from sequary.tasks.generate.fitted import Fitted
from sequary.tasks.generate.train import train

Codes = NDArray[np.int64]
Pixels = NDArray[np.uint8]


class Maker(Protocol):
    """What came of learning from images."""

    @property
    def params(self) -> int: ...
    @property
    def train_s(self) -> float: ...
    @property
    def curve(self) -> list[Point]: ...
    @property
    def fixed(self) -> dict[str, Any]: ...

    def make(self, codes: Codes, seed: int) -> Pixels:
        """[n, H, W, C], one image for each class."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Blurred:
    """Per class, mean and deviation of each pixel."""

    mean: NDArray[np.float64]
    """[classes, H, W, C]."""
    deviation: NDArray[np.float64]
    params: int = 0
    train_s: float = 0.0
    curve: list[Point] = dataclasses.field(default_factory=list[Point])
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def make(self, codes: Codes, seed: int) -> Pixels:
        noise = np.random.default_rng(seed).normal(size=(len(codes), *self.mean.shape[1:]))
        return (self.mean[codes] + noise * self.deviation[codes]).round().clip(0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True, slots=True)
class GaussianEntrant:
    """The floor: the mean image of the class and noise, each pixel for itself. A class never seen looks like all images."""

    id: str = "class-gaussian"
    title: str = "Mean image of the class, and the noise of each pixel"
    kind: Kind = "floor"
    seeded: bool = False
    trained: bool = False

    def settings(self) -> list[dict[str, Any]]:
        return [{}]

    def learn(self, images: Images, stop: int, ask: Ask) -> Blurred:
        known = images.take(slice(stop))
        assert known.labels is not None
        groups = [known.pixels[known.labels == code] for code in range(len(images.classes))]
        groups = [group if len(group) else known.pixels for group in groups]
        return Blurred(np.stack([g.mean(0) for g in groups]), np.stack([g.std(0) for g in groups]))


@dataclasses.dataclass(frozen=True, slots=True)
class Trained:
    fitted: Fitted

    @property
    def params(self) -> int:
        return self.fitted.params

    @property
    def train_s(self) -> float:
        return self.fitted.train_s

    @property
    def curve(self) -> list[Point]:
        return list(self.fitted.curve)

    @property
    def fixed(self) -> dict[str, Any]:
        chosen = self.fitted.manifest["chosen"]
        return {"precision": chosen["precision"], "batch": chosen["batch"]}

    def make(self, codes: Codes, seed: int) -> Pixels:
        decode = self.fitted.recipe.decode
        assert decode is not None
        return self.fitted.draw(codes, decode=decode, seed=seed)


@dataclasses.dataclass(frozen=True, slots=True)
class MakerEntrant:
    id: str
    title: str
    kind: Kind = "system"
    seeded: bool = True
    trained: bool = True

    @property
    def recipe(self) -> Recipe:
        recipe = catalogue.load(self.id).recipe
        assert recipe is not None
        return recipe

    def settings(self) -> list[dict[str, Any]]:
        """The prior's learning rate, where the system does not say what is worth trying."""
        system, rate = catalogue.load(self.id), self.recipe.stages[-1].train.lr
        last = f"stages__{len(self.recipe.stages) - 1}__train__lr"
        tune = system.tune or {last: (rate, rate / 3, rate * 3)}
        return settings_of(dataclasses.replace(system, tune=tune))

    def learn(self, images: Images, stop: int, ask: Ask) -> Trained:
        return Trained(self.fit(images.take(slice(stop)), ask))

    def fit(self, images: Images, ask: Ask) -> Fitted:
        return train(self.recipe, images, seed=ask.seed, steps=ask.steps, settings=self.asked(ask), chosen=frozen(ask))

    def asked(self, ask: Ask) -> Mapping[str, Any]:
        """The setting, and how often the validation part is looked at."""
        every = {f"stages__{i}__train__evaluate_every": ask.every for i in range(len(self.recipe.stages))}
        return {**plain(ask.setting), **every}
