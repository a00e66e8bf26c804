"""Who takes part in a comparison of classifiers: floors and systems, by one interface.

An entrant is handed all series and which of them it may learn from, and must itself look at no other: whether it does is what
the leak probe finds out, by the same two calls that the board makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from sequary.compare import candidates
from sequary.compare.ask import Ask
from sequary.compare.candidates import Catalogued, Ordinary, Untrained
from sequary.data.panel import Floats
from sequary.tasks.classify import floors
from sequary.tasks.classify.fitted import Fitted
from sequary.tasks.classify.labelled import Bools, Labelled
from sequary.tasks.classify.train import train


class Classifier(candidates.Learned, Protocol):
    """What came of learning."""

    def proba(self, data: Labelled) -> Floats:
        """[N, classes] of series without labels."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled(Untrained):
    told: floors.Told

    def proba(self, data: Labelled) -> Floats:
        return self.told.proba(data)


@dataclasses.dataclass(frozen=True, slots=True)
class FloorEntrant(Ordinary):
    rule: Callable[[Labelled], floors.Told]

    def learn(self, data: Labelled, learnt: Bools, ask: Ask) -> Classifier:
        began = perf_counter()
        told = self.rule(data.take(learnt))
        return Ruled(told, train_s=perf_counter() - began)


@dataclasses.dataclass(frozen=True, slots=True)
class Trained(candidates.Trained[Fitted]):
    def proba(self, data: Labelled) -> Floats:
        return self.fitted.proba(data)


@dataclasses.dataclass(frozen=True, slots=True)
class ClassifierEntrant(Catalogued):
    def learn(self, data: Labelled, learnt: Bools, ask: Ask) -> Trained:
        return Trained(self.fit(data.take(learnt), ask))

    def fit(self, data: Labelled, ask: Ask) -> Fitted:
        """On all of these series."""
        return train(self.recipe, data, self.training(ask))


def ordinary() -> list[FloorEntrant]:
    return [
        FloorEntrant("majority", "The most frequent class", floors.Majority.fit),
        FloorEntrant("nearest-neighbour", "The class of the nearest series", floors.Nearest.fit),
        FloorEntrant("linear", "Logistic regression on summary statistics", floors.Linear.fit),
    ]
