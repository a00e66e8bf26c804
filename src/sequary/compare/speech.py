"""Texts: bits per byte over blocks of bytes that follow the origins. The floor is an n-gram.

The same plan as for forecasts: a model for choosing learns from the bytes before the first choice origin, the final one
from those before the first board origin, and each byte of a block is scored given all bytes before it.

The leak probe changes every byte after an origin, replays the training, and asks again for the bits of the last known
bytes; then it changes the second half of the block and asks for those of the first half, which no later byte may move.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Fold
from sequary.compare.entrants import Kind, Point
from sequary.compare.folds import MOST, TRAIN_SHARE, role
from sequary.compare.footprint import Footprint, of_speaker
from sequary.compare.leak import STEPS
from sequary.compare.systems import frozen, settings_of, with_rhythm
from sequary.core import catalogue
from sequary.tasks import saved
from sequary.tasks.language import fitted as spoken
from sequary.tasks.language.ngram import NGram
from sequary.tasks.language.train import train

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

PROBED = 512
"""Bytes whose bits the leak probe compares."""


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
    fitted: spoken.Fitted

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

    def fit(self, text: Bytes, ask: Ask) -> spoken.Fitted:
        recipe = catalogue.load(self.id).recipe
        assert recipe is not None
        return train(
            recipe, text, seed=ask.seed, steps=ask.steps, settings=with_rhythm(ask), chosen=frozen(ask)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class TextTask:
    text: Bytes
    block: int
    """Bytes that are scored after each origin."""
    origins: tuple[int, ...]
    roles: tuple[str, ...]

    def run(self, entrant: Any, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        here = [o for o, r in zip(self.origins, self.roles, strict=True) if r == role]
        learned: Speaker = entrant.learn(self.text, here[0], ask)
        bits = [learned.bits(self.text, o, o + self.block) for o in here]
        began = perf_counter()
        learned.bits(self.text, here[-1], here[-1] + 1)
        return Outcome(
            losses={"bits_per_byte": [[float(b.mean()) for b in bits]]},
            params=learned.params,
            train_s=learned.train_s,
            latency_ms=1000 * (perf_counter() - began),
            curve=learned.curve,
            fixed=learned.fixed,
        )

    def probe(self, entrant: Any, ask: Ask) -> list[float]:
        light = {"precision": "full", "batch": 4, **ask.setting, "context": 64} if entrant.trained else {}
        ask = ask.but(setting=light, steps=STEPS if entrant.trained else None, evaluations=STEPS)
        found: list[float] = []
        for each in ("choice", "board"):
            first, *_ = here = [o for o, r in zip(self.origins, self.roles, strict=True) if r == each]
            true: Speaker = entrant.learn(self.text, first, ask)
            for origin in here:
                symbols = np.random.default_rng(len(found)).permutation(256).astype(np.uint8)
                other = np.concatenate([self.text[:origin], symbols[self.text[origin:]]])
                replayed: Speaker = entrant.learn(other, first, ask)
                learned = _move(true, self.text, replayed, other, origin - PROBED, origin)
                middle, end = origin + PROBED // 2, min(origin + PROBED, origin + self.block)
                half = np.concatenate([self.text[:middle], other[middle:]])
                found.append(max(learned, _move(true, self.text, true, half, origin, end, PROBED // 2)))
        return found

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        return of_speaker(catalogue.load(entrant.id), ask)

    def rival_costs(self, entrant: Any, ask: Ask) -> dict[str, float]:
        raise NotImplementedError("texts have floors and systems, no rivals")

    def fitted_to(self, entrant: Any, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        raise NotImplementedError("texts have floors and systems, no rivals")

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        saved.save(entrant.fit(self.text, ask), folder)


def _move(a: Speaker, text: Bytes, b: Speaker, other: Bytes, start: int, stop: int, first: int | None = None) -> float:
    """The greatest difference between the bits that two speakers charge for `first` bytes of a span of their texts."""
    return float(np.abs(a.bits(text, start, stop)[:first] - b.bits(other, start, stop)[:first]).max())


def lay(text: Bytes, horizon: int | None) -> tuple[int, tuple[int, ...], tuple[Fold, ...]]:
    """Block, origins and folds: as many as of a table, blocks of an equal size or of `horizon` bytes."""
    held = int((1 - TRAIN_SHARE) * len(text))
    count = MOST if horizon is None else min(MOST, max(2, held // horizon))
    block = min(held // count, 2048) if horizon is None else horizon
    origins = tuple(len(text) - (count - i) * block for i in range(count))
    folds = tuple(Fold(origin=str(o), role=role(i, count), horizon=block) for i, o in enumerate(origins))
    return block, origins, folds
