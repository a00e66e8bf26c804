"""What claims on made-up symbols share: rows as a source, training, accuracy, and one grid for all arms."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.train.loop import fit
from sequary.train.manifest import Chosen as Replayed
from sequary.train.seeds import derive, forked

Arms = Mapping[str, Recipe]
Chosen = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Symbols [N, T], what should be said at each [N, T], and where that counts [N, T]; a `Source`."""

    values: Tensor
    target: Tensor
    asked: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, rows: Tensor) -> Batch:
        values, target, asked = (x.index_select(0, rows) for x in (self.values, self.target, self.asked))
        return Batch(values=values.long(), target=target.long(), weight=asked)


def trained(recipe: Recipe, rows: Rows, *, vocab: int, seed: int) -> Model:
    """The recipe with its vocabulary bound, fresh weights from `seed`, after its one stage. In float32: no clock decides."""
    bound = recipe.bind({"vocab": vocab})
    with forked(torch.device("cpu")):
        torch.manual_seed(derive(seed, "weights"))
        model = bound.build()
    own = bound.stages[0].train
    chosen = Replayed(precision="full", steps=own.steps, batch=own.batch)
    return fit(model, bound.stages[0], rows, seed=seed, progress=False, chosen=chosen).model


@torch.no_grad()
def accuracy(model: Model, rows: Rows) -> float:
    """The share of asked symbols that the model's likeliest one hits."""
    hits = 0.0
    for some in torch.arange(len(rows)).split(128):
        batch = rows.batch(some)
        assert batch.target is not None
        assert batch.weight is not None
        hits += float((model.head(model(batch).hidden).argmax(-1) == batch.target)[batch.weight].sum())
    return hits / float(rows.asked.sum())


def parts(make: Callable[[int, str], Rows], train: Mapping[str, Any]) -> tuple[Rows, Rows, Rows]:
    """`make(count, purpose)`: rows to learn from, as many as training reads, so that none comes twice; to choose by; to test on."""
    count = train["stages__0__train__steps"] * train["stages__0__train__batch"]
    return make(count, "train"), make(500, "choose"), make(1000, "test")


def tuned(arms: Arms, rows: tuple[Rows, Rows, Rows], *, vocab: int, grid: Mapping[str, tuple[Any, ...]]) -> Chosen:
    """For each arm the overrides of the grid with the best accuracy on held-out rows: equal tuning for all. The first wins ties."""
    options = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(options) == 1:
        return dict.fromkeys(arms, options[0])
    best: Chosen = {}
    for name, recipe in arms.items():
        scores = [accuracy(trained(recipe.but(**o), rows[0], vocab=vocab, seed=0), rows[1]) for o in options]
        best[name] = options[scores.index(max(scores))]
    return best


def tested(
    arms: Arms, rows: tuple[Rows, Rows, Rows], chosen: Mapping[str, Mapping[str, Any]], *, vocab: int, seed: int
) -> dict[str, float]:
    """The accuracy of each arm."""
    return {n: accuracy(trained(r.but(**chosen[n]), rows[0], vocab=vocab, seed=seed), rows[2]) for n, r in arms.items()}
