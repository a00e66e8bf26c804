"""Who takes part in a comparison of language models: n-grams and systems, by one interface."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sequary.compare.ask import Ask
from sequary.compare.entrants import Kind, Point
from sequary.compare.systems import frozen, settings_of, with_rhythm
from sequary.core import catalogue
from sequary.data.texts import Bytes
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.ngram import NGram
from sequary.tasks.language.train import train

Floats = NDArray[np.float64]


class Speaker(Protocol):
    """What came of learning from a text."""

    @property
    def params(self) -> int: ...
    @property
    def train_s(self) -> float: ...
    @property
    def curve(self) -> list[Point]: ...
    @property
    def fixed(self) -> dict[str, Any]: ...

    def bits(self, text: Bytes, start: int, stop: int) -> Floats:
        """[stop - start] bits of each byte, given those before it."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    model: NGram
    params: int = 0
    train_s: float = 0.0
    curve: list[Point] = dataclasses.field(default_factory=list[Point])
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def bits(self, text: Bytes, start: int, stop: int) -> Floats:
        return self.model.bits(text[:start].tobytes(), text[start:stop].tobytes())


@dataclasses.dataclass(frozen=True, slots=True)
class NGramEntrant:
    id: str
    title: str
    order: int
    kind: Kind = "floor"
    seeded: bool = False
    trained: bool = False

    def settings(self) -> list[dict[str, Any]]:
        return [{}]

    def learn(self, text: Bytes, origin: int, ask: Ask) -> Counted:
        return Counted(NGram(self.order))


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

    def bits(self, text: Bytes, start: int, stop: int) -> Floats:
        return self.fitted.bits(text[start:stop], text[:start])


@dataclasses.dataclass(frozen=True, slots=True)
class SpeakerEntrant:
    id: str
    title: str
    kind: Kind = "system"
    seeded: bool = True
    trained: bool = True

    def settings(self) -> list[dict[str, Any]]:
        return settings_of(catalogue.load(self.id))

    def learn(self, text: Bytes, origin: int, ask: Ask) -> Trained:
        return Trained(self.fit(text[:origin], ask))

    def fit(self, text: Bytes, ask: Ask) -> Fitted:
        recipe = catalogue.load(self.id).recipe
        assert recipe is not None
        return train(recipe, text, seed=ask.seed, steps=ask.steps, settings=with_rhythm(ask), chosen=frozen(ask))
