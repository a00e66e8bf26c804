"""Who takes part in a comparison of classifiers: floors and systems, by one interface.

An entrant is handed all series and which of them it may learn from, and must itself look at no other: whether it does is what
the leak probe finds out, by the same two calls that the board makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

from sequary.compare.ask import Ask
from sequary.compare.entrants import Kind, Point
from sequary.compare.systems import frozen, plain, settings_of
from sequary.core import catalogue
from sequary.core.recipe import Recipe
from sequary.data.panel import Floats
from sequary.tasks.classify import floors
from sequary.tasks.classify.fitted import Fitted
from sequary.tasks.classify.labelled import Bools, Labelled
from sequary.tasks.classify.train import train


class Classifier(Protocol):
    """What came of learning."""

    @property
    def params(self) -> int: ...
    @property
    def train_s(self) -> float: ...
    @property
    def curve(self) -> list[Point]: ...
    @property
    def fixed(self) -> dict[str, Any]: ...

    def proba(self, data: Labelled) -> Floats:
        """[N, classes] of series without labels."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled:
    told: floors.Told
    train_s: float
    params: int = 0
    curve: list[Point] = dataclasses.field(default_factory=list[Point])
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def proba(self, data: Labelled) -> Floats:
        return self.told.proba(data)


@dataclasses.dataclass(frozen=True, slots=True)
class FloorEntrant:
    id: str
    title: str
    rule: Callable[[Labelled], floors.Told]
    kind: Kind = "floor"
    seeded: bool = False
    trained: bool = False

    def settings(self) -> list[dict[str, Any]]:
        return [{}]

    def light(self) -> dict[str, Any]:
        return {}

    def learn(self, data: Labelled, learnt: Bools, ask: Ask) -> Classifier:
        began = perf_counter()
        told = self.rule(data.take(learnt))
        return Ruled(told, perf_counter() - began)


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
        """Precision and batch, as measured."""
        chosen = self.fitted.manifest["chosen"]
        return {"precision": chosen["precision"], "batch": chosen["batch"]}

    def proba(self, data: Labelled) -> Floats:
        return self.fitted.proba(data)


@dataclasses.dataclass(frozen=True, slots=True)
class ClassifierEntrant:
    """A system. `id` is what `catalogue.load` takes."""

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
        """The last stage's learning rate, where the system does not say what is worth trying."""
        system, rate = catalogue.load(self.id), self.recipe.stages[-1].train.lr
        last = f"stages__{len(self.recipe.stages) - 1}__train__lr"
        tune = system.tune or {last: (rate, rate / 3, rate * 3)}
        return settings_of(dataclasses.replace(system, tune=tune))

    def light(self) -> dict[str, Any]:
        return {"precision": "full", "batch": 4}

    def learn(self, data: Labelled, learnt: Bools, ask: Ask) -> Trained:
        return Trained(self.fit(data.take(learnt), ask))

    def fit(self, data: Labelled, ask: Ask) -> Fitted:
        """On all of these series."""
        every = {f"stages__{i}__train__evaluate_every": ask.every for i in range(len(self.recipe.stages))}
        settings = {**plain(ask.setting), **every}
        return train(self.recipe, data, seed=ask.seed, steps=ask.steps, settings=settings, chosen=frozen(ask))


def ordinary() -> list[FloorEntrant]:
    return [
        FloorEntrant("majority", "The most frequent class", floors.Majority.fit),
        FloorEntrant("nearest-neighbour", "The class of the nearest series", floors.Nearest.fit),
        FloorEntrant("linear", "Logistic regression on summary statistics", floors.Linear.fit),
    ]
