"""What layers are to learn, as rows of symbols: recall, copying, and for the most used ListOps, sequential digits and a text.

ListOps (Nangia & Bowman, arXiv 1804.06028) are nested MIN, MAX, MED and SM (sum modulo 10) of digits, asked for their value where they
close: Long Range Arena (arXiv 2011.04006) has them, and images as rows of pixels, here at sizes that a CPU learns in minutes.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.claims.copying import scattered
from sequary.claims.forecast_gain import shared
from sequary.claims.recall import told
from sequary.claims.symbols import Rows, accuracy
from sequary.claims.text import shakespeare
from sequary.core.contracts import Model
from sequary.data.images import ImageRows, read_images

MOST_USED = (
    *("gpt", "retention", "mamba", "mamba-2", "gla", "gated-deltanet", "kda"),
    *("linear-transformer", "gss", "mega", "aft", "dynamic-conv"),
)
FILLER, CLOSE = 0, 15
OPERATORS: tuple[Callable[[list[int]], int], ...] = (
    min,
    max,
    lambda x: int(statistics.median(x)),
    lambda x: sum(x) % 10,
)
"""MIN, MAX, MED, SM: symbols 11 to 14, after the digits, which are 1 to 10. A median between two digits is rounded down."""
SHADES = 8
SIDE = 14
WINDOW, HELD = 128, 500


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Rows, what is asked of them, and the budget that each layer has. `score`: the larger, the better."""

    make: Callable[[int, int, str], Rows]
    """(count, seed, purpose): "train", "choose" or "test"."""
    vocab: int
    steps: int = 400
    batch: int = 32
    entrants: tuple[str, ...] | None = None
    """None: all causal layers."""
    needs: str = ""
    """A file of the shared data."""
    score: Callable[[Model, Rows], float] = accuracy
    unit: str = "%"

    def said(self, scores: list[float]) -> str:
        """Mean and spread over seeds."""
        if self.unit == "%":
            return f"{100 * statistics.mean(scores):.1f} ± {100 * statistics.stdev(scores):.1f} %"
        return f"{-statistics.mean(scores):.3f} ± {statistics.stdev(scores):.3f} {self.unit}"


def listops(count: int, seed: int, purpose: str, *, length: int = 64, depth: int = 3, most: int = 4) -> Rows:
    """Expressions of `depth` levels at most, of 2 to `most` arguments, no longer than `length`; fillers follow."""
    rng = np.random.default_rng([seed, *purpose.encode()])
    symbols, target = (torch.zeros(count, length, dtype=torch.int16) for _ in range(2))
    for row in range(count):
        found = list(expression(rng, depth, most))
        while len(found) > length:
            found = list(expression(rng, depth, most))
        symbols[row, : len(found)] = torch.tensor(found, dtype=torch.int16)
        target[row, len(found) - 1] = 1 + next(values(iter(found)))
    return Rows(symbols, target, target > 0)


def expression(rng: np.random.Generator, depth: int, most: int) -> Iterator[int]:
    """Its symbols: an operator, digits and smaller expressions, the close."""
    yield 11 + int(rng.integers(len(OPERATORS)))
    for _ in range(int(rng.integers(2, most + 1))):
        if depth > 1 and rng.random() < 0.4:
            yield from expression(rng, depth - 1, most)
        else:
            yield 1 + int(rng.integers(10))
    yield CLOSE


def values(symbols: Iterator[int]) -> Iterator[int]:
    """Of the digits and expressions before the next close."""
    for symbol in symbols:
        if symbol == CLOSE:
            return
        yield symbol - 1 if symbol <= 10 else OPERATORS[symbol - 11](list(values(symbols)))


def digits(count: int, seed: int, purpose: str) -> Rows:
    """Images of 14 × 14 pixels in 8 shades, read row by row; the class is asked for at the last pixel. Those to learn from come again."""
    symbols, labels = pixels()
    start, stop = {"train": (0, 8000), "choose": (8000, 9000), "test": (9000, 10_000)}[purpose]
    symbols, target = symbols[start:stop], torch.zeros_like(symbols[start:stop])
    target[:, -1] = SHADES + labels[start:stop]
    return Rows(symbols, target, target > 0)


@functools.cache
def pixels() -> tuple[Tensor, Tensor]:
    """[10,000, 196] shades and [10,000] classes, in an order drawn once."""
    rows = ImageRows(read_images(shared("mnist10k.npz")))
    found = rows.batch(torch.from_numpy(np.random.default_rng(0).permutation(len(rows))))
    assert found.cond is not None
    small = F.avg_pool2d(found.values, found.values.shape[-1] // SIDE).add(1).div(2)
    return small.mul(SHADES).long().clamp(max=SHADES - 1).flatten(1).short(), found.cond.short()


def text(count: int, seed: int, purpose: str) -> Rows:
    """Windows of Shakespeare's bytes: drawn from the first part; to choose by, what ends it; to test on, what begins the last part."""
    known, unseen = (torch.from_numpy(part.copy()).short() for part in shakespeare())
    if purpose == "train":
        learnt = known[: -HELD * (WINDOW + 1)]
        start = np.random.default_rng(seed).integers(len(learnt) - WINDOW, size=count)
        windows = learnt.unfold(0, WINDOW + 1, 1)[torch.from_numpy(start)]
    else:
        held = unseen if purpose == "test" else known[-HELD * (WINDOW + 1) :]
        windows = held.unfold(0, WINDOW + 1, WINDOW + 1)[:count]
    return Rows(windows[:, :-1], windows[:, 1:], torch.ones_like(windows[:, 1:], dtype=torch.bool))


@torch.no_grad()
def bits(model: Model, rows: Rows) -> float:
    """Less the bits per byte."""
    losses = list[Tensor]()
    for some in torch.arange(len(rows)).split(64):
        batch = rows.batch(some)
        assert batch.target is not None
        losses.append(model.head.loss(model(batch).hidden, batch.target))
    return -float(torch.cat(losses).mean()) / math.log(2)


TASKS = {
    "recall": Task(lambda n, seed, why: told(n, seed, why, pairs=8, length=48, keys=32, values=16), 49),
    "copying": Task(lambda n, seed, why: scattered(n, seed, why, tokens=6, length=42, symbols=8), 10),
    "ListOps": Task(listops, 16, entrants=MOST_USED),
    "digits": Task(digits, SHADES + 10, entrants=MOST_USED, needs="mnist10k.npz"),
    "text": Task(text, 256, entrants=MOST_USED, needs="shakespeare.txt", score=bits, unit="bits"),
}
