"""Who takes part in a comparison of language models: n-grams and systems, by one interface."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sequary.compare import candidates
from sequary.compare.ask import Ask
from sequary.compare.candidates import Catalogued, Ordinary, Untrained
from sequary.data.texts import Bytes
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.ngram import NGram
from sequary.tasks.language.train import train

Floats = NDArray[np.float64]


class Speaker(candidates.Learned, Protocol):
    """What came of learning from a text."""

    def bits(self, text: Bytes, start: int, stop: int) -> Floats:
        """[stop - start] bits of each byte, given those before it."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Counted(Untrained):
    model: NGram

    def bits(self, text: Bytes, start: int, stop: int) -> Floats:
        return self.model.bits(text[:start].tobytes(), text[start:stop].tobytes())


@dataclasses.dataclass(frozen=True, slots=True)
class NGramEntrant(Ordinary):
    order: int

    def learn(self, text: Bytes, origin: int, ask: Ask) -> Counted:
        return Counted(NGram(self.order))


@dataclasses.dataclass(frozen=True, slots=True)
class Trained(candidates.Trained[Fitted]):
    def bits(self, text: Bytes, start: int, stop: int) -> Floats:
        return self.fitted.bits(text[start:stop], text[:start])


@dataclasses.dataclass(frozen=True, slots=True)
class SpeakerEntrant(Catalogued):
    def light(self) -> dict[str, Any]:
        """Short windows too."""
        return {"precision": "full", "batch": 4, "context": 64}

    def learn(self, text: Bytes, origin: int, ask: Ask) -> Trained:
        return Trained(self.fit(text[:origin], ask))

    def fit(self, text: Bytes, ask: Ask) -> Fitted:
        return train(self.recipe, text, self.training(ask))
