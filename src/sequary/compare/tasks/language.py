"""Texts: bits per byte over blocks of bytes that follow the origins. The floor is an n-gram.

The same plan as for forecasts: a model for choosing learns from the bytes before the first choice origin, the final one
from those before the first board origin, and each byte of a block is scored given all bytes before it.

The leak probe changes every byte after an origin, replays the training, and asks again for the bits of the last known
bytes; then it changes the second half of the block and asks for those of the first half, which no later byte may move.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequary.compare import leak, systems
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Fold
from sequary.compare.folds import MOST, TRAIN_SHARE, role
from sequary.compare.footprint import Footprint, of_speaker
from sequary.compare.options import BadArgument, Options, without_levels
from sequary.compare.prepare import Prepared, arguments
from sequary.compare.speakers import NGramEntrant, Speaker, SpeakerEntrant
from sequary.compare.task import Task
from sequary.compare.words import Words
from sequary.core import catalogue
from sequary.data import texts
from sequary.data.roles import Columns
from sequary.data.texts import Bytes
from sequary.tasks import saved

WORDS = Words(one="byte", many="predictions", point="origin", head="bytes known", hidden="every byte after an origin")

Floats = NDArray[np.float64]

PROBED = 512
"""Bytes whose bits the leak probe compares."""


@dataclasses.dataclass(frozen=True, slots=True)
class TextTask(Task):
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
        ask = leak.quick(entrant, ask)
        found: list[float] = []
        for each in ("choice", "board"):
            first, *_ = here = [o for o, r in zip(self.origins, self.roles, strict=True) if r == each]
            true: Speaker = entrant.learn(self.text, first, ask)
            for origin in here:
                symbols = np.random.default_rng(len(found)).permutation(256).astype(np.uint8)
                other = np.concatenate([self.text[:origin], symbols[self.text[origin:]]])
                replayed: Speaker = entrant.learn(other, first, ask)
                learned = _move(true, self.text, replayed, other, max(0, origin - PROBED), origin)
                middle, end = origin + PROBED // 2, min(origin + PROBED, origin + self.block)
                half = np.concatenate([self.text[:middle], other[middle:]])
                found.append(max(learned, _move(true, self.text, true, half, origin, end, PROBED // 2)))
        return found

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        return of_speaker(catalogue.load(entrant.id), ask)

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


def prepare(path: str | Path, given: Options, columns: Columns) -> Prepared:
    without_levels(given, "language models")
    if columns != Columns() or given.season is not None:
        raise BadArgument(f"{path} is a text: it has no columns and no season; leave them out, or say --task forecast")
    text = texts.read_text(path)
    if given.horizon is not None and 4 * given.horizon > len(text):
        raise BadArgument(f"horizon={given.horizon}: blocks of at most {len(text) // 4} bytes fit into this text")
    block, origins, laid = lay(text, given.horizon)
    if given.metric not in (None, "bits_per_byte"):
        raise BadArgument(f"metric={given.metric!r}: boards of texts rank by bits_per_byte")
    chosen = systems.select(given.systems, given.family, task="language", default=systems.SPEAKERS)
    grams = [NGramEntrant(f"{n}-gram", f"Interpolated Kneser-Ney, {n} bytes", n) for n in (3, 6)]
    entrants = [*grams, *(SpeakerEntrant(id, title) for id, title in chosen)]
    roles = tuple(f.role for f in laid)
    rule = (
        f"{len(laid)} rolling origins, {block:,} bytes apart: {roles.count('choice')} to choose settings, then "
        f"{roles.count('board')} for the board; trained on what lies before the first of each, not trained again"
    )
    return Prepared(
        task=TextTask(text, block, origins, roles),
        name="language",
        options=given,
        metric="bits_per_byte",
        ask=Ask(horizon=block),
        entrants=entrants,
        units=["text"],
        folds=list(laid),
        data={"file": str(path), "bytes": len(text), "distinct bytes": len(np.unique(text)), "notes": [rule]},
        lines=(f"{path}: text, {len(text):,} bytes, {len(np.unique(text))} of them distinct", f"backtest: {rule}"),
        suspects=[],
        drawn=(),
        arguments=arguments(given, "bits_per_byte", entrants, hashlib.sha256(text.tobytes()).hexdigest()),
    )
