"""The data of the toys: drawn anew each time, with a structure that is learnt in a few steps; and what scores and floors are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.contracts import Forecasts, Model
from sequary.core.values import Batch

Sizes = Mapping[str, Any]


def chain(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """A walk over symbols: from x to (3x + 1) mod n nine times in ten, else anywhere. Its marginal is uniform."""
    n, length = int(at["vocab"]), int(at["length"])
    walk = torch.empty(rows, length + 1, dtype=torch.long)
    walk[:, 0] = torch.randint(n, (rows,), generator=rng)
    jump = torch.randint(n, (rows, length), generator=rng)
    strays = torch.rand(rows, length, generator=rng) < 0.1
    step = next(k for k in (3, 5, 7, 11) if math.gcd(k, n) == 1)
    for t in range(length):
        walk[:, t + 1] = torch.where(strays[:, t], jump[:, t], (step * walk[:, t] + 1) % n)
    return Batch(values=walk[:, :-1], target=walk[:, 1:], weight=torch.ones(rows, length))


def mirrored(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """Each symbol of the source plus one, in reverse order; 0 starts a row."""
    n, length = int(at["vocab"]), int(at["length"])
    source = torch.randint(n, (rows, length), generator=rng)
    target = ((source + 1) % n).flip(1)
    before = torch.cat((torch.zeros_like(target[:, :1]), target[:, :-1]), 1)
    return Batch(values=before, target=target, weight=torch.ones(rows, length), source=source)


def next_nats(model: Model, batch: Batch) -> float:
    """−log p of the next symbol, mean, by the main head."""
    assert batch.target is not None
    return model.head.loss(model(batch).hidden, batch.target).mean().item()


def unigram(batch: Batch) -> float:
    assert batch.target is not None
    share = torch.bincount(batch.target.flatten()).double() / batch.target.numel()
    return -(share * share.clamp(min=1e-12).log()).sum().item()


def waves(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """Two sines (periods 8 and 5) of random phase and size around a random level."""
    context, horizon, channels = int(at["context"]), int(at["horizon"]), int(at["channels"])
    time = torch.arange(context + horizon)[None, :, None, None] / torch.tensor([8.0, 5.0])
    phase, size = (torch.rand(rows, 1, channels, 2, generator=rng) for _ in range(2))
    level = torch.randn(rows, 1, channels, generator=rng)
    x: Tensor = ((0.5 + size) * (2 * math.pi * (time + phase)).sin()).sum(-1) + level
    target = x[:, context:]
    return Batch(
        values=x[:, :context],
        observed=torch.ones(rows, context, channels, dtype=torch.bool),
        target=target,
        weight=torch.ones_like(target),
    )


def squared_error(model: Model, batch: Batch) -> float:
    assert isinstance(model, Forecasts)
    assert batch.target is not None
    return F.mse_loss(model.mean(model(batch)), batch.target).item()


def naive(batch: Batch) -> float:
    """The best of last value, mean of the look-back, and the value 8 steps ago."""
    assert batch.target is not None
    x, y = batch.values, batch.target
    back = x[:, (torch.arange(y.shape[1]) % 8) - min(8, x.shape[1])]
    return min(F.mse_loss(f.expand_as(y), y).item() for f in (x[:, -1:], x.mean(1, keepdim=True), back))


def painted(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """The chain laid out on a grid; the model says each cell from those before it."""
    walk = chain(rows, rng, {**at, "length": math.prod(at["grid"])})
    return dataclasses.replace(walk, target=walk.values, grid=tuple(at["grid"]))


def hidden_chain(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """The chain over symbols 1, 2 …; 0 is what stands for a hidden one."""
    walk = chain(rows, rng, {**at, "vocab": int(at["vocab"]) - 1})
    return dataclasses.replace(walk, values=walk.values + 1, target=walk.values + 1)


def hidden_nats(model: Model, batch: Batch) -> float:
    """−log p of every seventh symbol, hidden."""
    assert batch.target is not None
    gone = (torch.arange(batch.values.shape[1]) % 7 == 3).expand_as(batch.values)
    seen = dataclasses.replace(batch, values=torch.where(gone, 0, batch.values))
    return model.head.loss(model(seen).hidden, batch.target)[gone].mean().item()


def tones(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """A sine of random phase in every channel, with noise; the class is its frequency."""
    steps, channels, classes = int(at["context"]), int(at["channels"]), int(at["classes"])
    kind = torch.randint(classes, (rows,), generator=rng)
    phase = torch.rand(rows, 1, channels, generator=rng)
    turns = (1 + kind)[:, None, None] * torch.arange(steps)[None, :, None] / steps
    x = (2 * math.pi * (turns + phase)).sin() + 0.1 * torch.randn(rows, steps, channels, generator=rng)
    return Batch(values=x, observed=torch.ones_like(x, dtype=torch.bool), target=kind, weight=torch.ones(rows))


def stripes(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """Images of waves of random phase; the class is their direction."""
    side, channels, classes = int(at["side"]), int(at["channels"]), int(at["classes"])
    kind = torch.randint(classes, (rows,), generator=rng)
    angle = math.pi * kind / classes
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    along = x[None] * angle.cos()[:, None, None] + y[None] * angle.sin()[:, None, None]
    phase = torch.rand(rows, 1, 1, generator=rng)
    image = (2 * math.pi * (along / 6 + phase)).sin()[:, None].expand(-1, channels, -1, -1)
    noise = 0.1 * torch.randn(image.shape, generator=rng)
    return Batch(values=image + noise, target=kind, weight=torch.ones(rows))


def topics(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """Symbols of which half are drawn at random and half are the class's own, 0 in front."""
    vocab, length, classes = int(at["vocab"]), int(at["length"]), int(at["classes"])
    kind = torch.randint(classes, (rows,), generator=rng)
    any_symbol = torch.randint(1, vocab, (rows, length), generator=rng)
    own = (torch.rand(rows, length, generator=rng) < 0.5) & (torch.arange(length) > 0)
    ids = torch.where(own, 1 + kind[:, None], any_symbol) * (torch.arange(length) > 0)
    return Batch(values=ids, target=kind, weight=torch.ones(rows))


def class_nats(model: Model, batch: Batch) -> float:
    assert batch.target is not None
    return model.head.loss(model(batch).hidden, batch.target).mean().item()


def gaps(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """A sine of period 8 and random phase, the same in every channel, a fifth of the entries missing."""
    steps, channels = int(at["length"]), int(at["channels"])
    phase = torch.rand(rows, 1, 1, generator=rng)
    x = (2 * math.pi * (torch.arange(steps)[None, :, None] / 8 + phase)).sin().expand(-1, -1, channels)
    seen = torch.rand(x.shape, generator=rng) < 0.8
    return Batch(values=x * seen, observed=seen)


def scattered(batch: Batch) -> Batch:
    """The same entries at other times, differently in each row and channel: nothing is left that tells one from another."""
    assert batch.observed is not None
    to = torch.rand(batch.values.shape, generator=torch.Generator().manual_seed(int(batch.observed.sum()))).argsort(1)
    return dataclasses.replace(batch, values=batch.values.gather(1, to), observed=batch.observed.gather(1, to))


def _with_gaps(batch: Batch) -> tuple[Batch, Tensor]:
    """A fifth of what is observed, hidden; and where."""
    assert batch.observed is not None
    gone = batch.observed & (torch.rand(batch.values.shape, generator=torch.Generator().manual_seed(9)) < 0.2)
    left = batch.observed & ~gone
    return dataclasses.replace(batch, values=batch.values * left, observed=left), gone


def filled_error(model: Model, batch: Batch) -> float:
    """Mean absolute error at entries that were hidden."""
    seen, gone = _with_gaps(batch)
    return (model(seen).hidden - batch.values)[gone].abs().mean().item()


def mean_filled(batch: Batch) -> float:
    """The error of each channel's observed mean, or of 0, the mean of all."""
    seen, gone = _with_gaps(batch)
    assert seen.observed is not None
    mean = seen.values.sum(1, keepdim=True) / seen.observed.sum(1, keepdim=True).clamp(min=1)
    return min((guess - batch.values)[gone].abs().mean().item() for guess in (mean, torch.zeros_like(mean)))
