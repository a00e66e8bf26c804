"""Language modelling of bytes: a recipe and a text in, a fitted model out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.data.texts import Bytes
from sequary.models.encdec import EncoderDecoder
from sequary.objectives.refinement import Refinement
from sequary.objectives.tokens import NextToken
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.training import Training, filled, learn
from sequary.train.device import device as device_named

VOCABULARY = 256
CONTEXT = 256
JUDGED = 64
"""Validation windows at most, evenly spread over the last tenth of the text."""


class TextWindows:
    """`context` bytes and, for each, the byte that follows it, from every `stride`-th byte on; a `Source`."""

    def __init__(self, text: Bytes, *, context: int, stride: int = 1) -> None:
        if len(text) <= context:
            raise ValueError(f"context={context} needs {context + 1} bytes of text, these are {len(text)}; shorten it")
        self.windows = torch.from_numpy(np.array(text)).unfold(0, context + 1, stride)

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, rows: Tensor) -> Batch:
        window = self.windows.index_select(0, rows).long()
        return Batch(values=window[:, :-1], target=window[:, 1:])


def prepare(recipe: Recipe, *, context: int) -> Recipe:
    """The recipe with vocab (256, the bytes) and context filled in."""
    return filled(recipe.bind({"vocab": VOCABULARY, "context": context}), "bytes of a text")


def refuses(recipe: Recipe) -> str | None:
    """Why a recipe has no bits per byte; None where it predicts the next symbol from those before it."""
    objective = recipe.stages[-1].objective if recipe.stages else None
    if not isinstance(objective, NextToken | Refinement):
        name = "nothing" if objective is None else type(objective).__name__
        return f"{recipe.model.name} learns {name}, not the next symbol, so it has no bits per byte; choose a causal system"
    if issubclass(recipe.model.cls, EncoderDecoder):  # pyright: ignore[reportArgumentType]  # models are built by classes
        return "an encoder and decoder translates a source text, and one text has none; choose a causal system"
    return None


def train(recipe: Recipe, data: Bytes, asked: Training) -> Fitted:
    """Fit on `data`, whose last tenth is held out for early stopping. Without a context windows are of 256 bytes."""
    reason = refuses(recipe)
    if reason is not None:
        raise ValueError(reason)
    look = asked.window(lambda: CONTEXT)
    if look < 1:
        raise ValueError(f"context={look}: it must be at least 1")
    where = device_named(asked.device)
    bound = prepare(asked.at(recipe), context=look)
    held = max(len(data) // 10, look + 1)
    if len(data) < 2 * held:
        raise ValueError(f"context={look} needs {2 * look + 2} bytes of text, these are {len(data)}; shorten it")
    tail = data[-held:]
    trained, record = learn(
        bound,
        TextWindows(data[:-held], context=look),
        TextWindows(tail, context=look, stride=max(look, (held - look) // JUDGED)),
        asked,
    )
    return Fitted(recipe=bound, model=trained.model, context=look, record=record, device=str(where))
