"""Language modelling of bytes: a recipe and a text in, a fitted model out that says how many bits each further byte costs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.models.encdec import EncoderDecoder
from sequary.objectives.refinement import Refinement
from sequary.objectives.tokens import NextToken
from sequary.tasks.training import Record, altered, learn, needs
from sequary.train.device import device as device_named
from sequary.train.evaluation import moved
from sequary.train.learning import evaluating
from sequary.train.manifest import Chosen

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
VOCABULARY = 256
CONTEXT = 256
JUDGED = 64
"""Validation windows at most, evenly spread over the last tenth of the text."""
AT_ONCE = 16
"""Windows in one forward pass of inference."""


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
    bound = recipe.bind({"vocab": VOCABULARY, "context": context})
    if needs(bound):
        raise ValueError(
            f"the recipe asks for {', '.join(sorted(needs(bound)))}, which a text does not tell; use --set"
        )
    return bound


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    recipe: Recipe
    """As bound: it rebuilds the shapes."""
    model: Model
    context: int
    record: Record
    device: str = "cpu"

    @property
    def params(self) -> int:
        return self.record.params

    @property
    def train_s(self) -> float:
        return self.record.train_s

    @property
    def curve(self) -> tuple[tuple[int, float, float | None], ...]:
        return self.record.curve

    @property
    def memory_mb(self) -> float:
        return self.record.memory_mb

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.record.manifest

    def bits(self, data: Bytes, after: Bytes | None = None) -> Floats:
        """[N] −log2 p of each byte of `data`, given the bytes before it, those of `after` first. Deterministic.

        Windows of `context` bytes overlap by half: each byte is scored once, in the first window that holds it, so all
        but those of the first window have at least half a context before them. The very first byte, where `after` is
        not given, costs 8 bits.
        """
        if not len(data):
            raise ValueError("there is no byte to score; give at least one")
        size, step = self.context, max(1, self.context // 2)
        before = np.empty(0, np.uint8) if after is None else after[-size:]
        stream = np.concatenate([before, data])
        cost = np.full(len(stream), 8.0)
        last = len(stream) - 1
        ends = np.minimum(size + step * np.arange(1 + -(-max(0, last - size) // step)), last)
        done = 0  # the last byte that is scored
        padded = torch.from_numpy(np.concatenate([stream, np.zeros(size, np.uint8)])).long()
        for group in np.split(ends, np.arange(AT_ONCE, len(ends), AT_ONCE)):
            first = torch.from_numpy(np.maximum(group - size, 0))
            window = padded[first[:, None] + torch.arange(size + 1)]
            bits = _bits(self.model, window, torch.device(self.device))
            for start, end, row in zip(first.tolist(), group.tolist(), bits, strict=True):
                cost[done + 1 : end + 1] = row[done - start : end - start]
                done = end
        return cost[len(before) :]

    def bits_per_byte(self, data: Bytes, after: Bytes | None = None) -> float:
        """The mean of `bits`."""
        return float(self.bits(data, after).mean())


@torch.inference_mode()
def _bits(model: Model, window: Tensor, where: torch.device) -> Floats:
    """[B, T] bits of every byte of the windows [B, T + 1] but the first."""
    with evaluating(model):
        batch = moved(Batch(values=window[:, :-1], target=window[:, 1:]), where)
        assert batch.target is not None
        return model.head.loss(model(batch).hidden, batch.target).double().cpu().numpy() / math.log(2)


def speaks(recipe: Recipe) -> None:
    """Only a model that learns to predict the next symbol from those before it has bits per byte; raises ValueError for others."""
    objective = recipe.stages[-1].objective if recipe.stages else None
    if not isinstance(objective, NextToken | Refinement):
        name = "nothing" if objective is None else type(objective).__name__
        raise ValueError(
            f"{recipe.model.name} learns {name}, not the next symbol, so it has no bits per byte; choose a causal system"
        )
    if issubclass(recipe.model.cls, EncoderDecoder):  # pyright: ignore[reportArgumentType]  # models are built by classes
        raise ValueError(
            "an encoder and decoder translates a source text, and one text has none; choose a causal system"
        )


def train(
    recipe: Recipe,
    data: Bytes,
    *,
    context: int | None = None,
    seed: int,
    steps: int | None = None,
    seconds: float | None = None,
    settings: Mapping[str, object] = {},
    folder: Path | None = None,
    device: str = "cpu",
    chosen: Chosen | None = None,
) -> Fitted:
    """Fit on `data`, whose last tenth is held out for early stopping.

    Longer than 40 lines because each of its arguments and theirs stands on a line.

    Args:
        context: bytes of a window (256); `settings["context"]` goes before it.
        steps, seconds: of training; both None: the recipe's steps.
        settings: overrides of the recipe by path, as `Recipe.but` takes them.
        folder: for manifest and checkpoints: the same call again continues.
        chosen: what an earlier run measured, to be replayed.
    """
    speaks(recipe)
    given = settings.get("context", context)
    look = CONTEXT if given is None else int(str(given))
    if look < 1:
        raise ValueError(f"context={look}: it must be at least 1")
    where = device_named(device)
    bound = prepare(altered(recipe, settings), context=look)
    held = max(len(data) // 10, look + 1)
    if len(data) < 2 * held:
        raise ValueError(f"context={look} needs {2 * look + 2} bytes of text, these are {len(data)}; shorten it")
    tail = data[-held:]
    trained, record = learn(
        bound,
        TextWindows(data[:-held], context=look),
        TextWindows(tail, context=look, stride=max(look, (held - look) // JUDGED)),
        seed=seed,
        steps=steps,
        seconds=seconds,
        folder=folder,
        device=device,
        chosen=chosen,
    )
    return Fitted(recipe=bound, model=trained.model, context=look, record=record, device=str(where))
