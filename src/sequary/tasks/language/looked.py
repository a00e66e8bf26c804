"""What an edit looks at, and what it is judged by.

The edit looks at `CALIBRATION` windows. Given a text they come from its first nine tenths, and the last tenth is what both models are
judged by. Without one both are text that the model itself writes, at temperature 1: the edited model's further bits per byte on it
estimate the Kullback-Leibler divergence of the two in bits, and say nothing of how well either knows the world's text.
"""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.values import Batch
from sequary.data.texts import Bytes
from sequary.decode.stepwise import Stepwise
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.train import TextWindows
from sequary.train.learning import evaluating
from sequary.train.seeds import generator

CPU = torch.device("cpu")
CALIBRATION, AT_ONCE = 64, 16
"""Windows that an edit sees, and those of one batch."""
JUDGED = 1 << 17
"""Bytes of the last tenth that are scored, at most."""
OWN = 32
"""Windows of its own text that a model is judged by."""
PROMPT = 10
"""A line end: what a model's own text begins with."""


@dataclasses.dataclass(frozen=True, slots=True)
class Looked:
    """What an edit looks at; what both models are judged by, as (bytes that are read first, bytes that are scored); in words."""

    calibration: tuple[Batch, ...]
    judged: tuple[tuple[Bytes, Bytes], ...]
    words: str


def cut(text: Bytes, context: int, seed: int, name: str) -> Looked:
    """Windows at random places of the first nine tenths; the last tenth, read after them."""
    held = len(text) // 10
    known, unseen = text[: len(text) - held], text[len(text) - held :][:JUDGED]
    if len(known) <= context or not held:
        raise ValueError(
            f"{name} has {len(text):,} bytes: its first nine tenths must hold a window of {context + 1}; give a longer text"
        )
    windows = TextWindows(known, context=context)
    rows = torch.randint(len(windows), (CALIBRATION,), generator=generator(CPU, seed, "calibration"))
    words = f"the last tenth of {name}" if len(unseen) == held else f"{JUDGED:,} bytes of the last tenth of {name}"
    return Looked(tuple(windows.batch(some) for some in rows.split(AT_ONCE)), ((known, unseen),), words)


def own(fitted: Fitted, seed: int) -> Looked:
    """Text that the model writes after a line end, a window a row."""
    rows = CALIBRATION + OWN
    prompt = Batch(values=torch.full((rows, 1), PROMPT))
    try:
        with evaluating(fitted.model):
            made = Stepwise(new=fitted.context)(fitted.model, prompt, generator(CPU, seed, "own text")).raw
    except NotImplementedError:
        name = fitted.recipe.model.name
        raise ValueError(f"this {name} cannot write text to look at; give some by --data TEXT") from None
    seen = tuple(Batch(values=some[:, :-1], target=some[:, 1:]) for some in made[:CALIBRATION].split(AT_ONCE))
    held = made[CALIBRATION:].to(torch.uint8).numpy()
    return Looked(seen, tuple((row[:1], row[1:]) for row in held), f"{OWN} windows that the model wrote itself")
