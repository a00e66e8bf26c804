"""How the laws train: a plain loop on batches drawn anew, so that nothing can be learnt by heart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe, Stage
from sequary.core.values import Batch
from sequary.laws.toy import Toy, sizes
from sequary.laws.toy_data import Sizes

STEPS = 200
ROWS = 32
RATE = 5e-3
EVERY = 25
MARGIN = 0.9
"""A floor counts as beaten below this share of it, so that chance neither passes nor fails a model."""


@dataclasses.dataclass(frozen=True, slots=True)
class Learnt:
    model: Model
    score: float
    floor: float
    steps: int

    @property
    def beats(self) -> bool:
        return self.score < MARGIN * self.floor


def built(recipe: Recipe, seed: int = 0) -> Model:
    """With torch's own generator left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return recipe.build()


def ready(recipe: Recipe, toy: Toy) -> Recipe:
    """Tiny, with what only data can give."""
    small = recipe.shrunk()
    return toy.bind(small, sizes(small, toy.spec))


def learning(model: nn.Module, stage: Stage) -> nn.Module:
    return model if stage.learns == "model" else model.get_submodule(stage.learns)


def train(model: Model, stage: Stage, batches: Iterator[Batch], steps: int, rng: torch.Generator) -> float:
    """The last loss."""
    learns = [p for p in learning(model, stage).parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learns, lr=RATE)
    loss = torch.tensor(float("nan"))
    model.train()
    for _ in range(steps):
        optimiser.zero_grad()
        loss = stage.objective(model, next(batches), rng).value
        loss.backward()
        nn.utils.clip_grad_norm_(learns, 1.0)
        optimiser.step()
    model.eval()
    return loss.item()


def drawn(toy: Toy, at: Sizes, rng: torch.Generator, *, permuted: bool) -> Iterator[Batch]:
    while True:
        batch = toy.batch(ROWS, rng, at)
        yield toy.permuted(batch) if permuted else batch


def learn(recipe: Recipe, toy: Toy, *, permuted: bool = False, steps: int = STEPS) -> Learnt:
    """All stages in turn; the last one stops as soon as the floor is beaten. `recipe` is ready to build."""
    at, rng = sizes(recipe, toy.spec), torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):  # dropout
        torch.manual_seed(0)
        model = built(recipe)
        batches = drawn(toy, at, rng, permuted=permuted)
        held_out = next(drawn(toy, at, torch.Generator().manual_seed(1), permuted=permuted))
        floor = toy.floor(toy.batch(ROWS, torch.Generator().manual_seed(1), at))
        for stage in recipe.stages[:-1]:
            train(model, stage, batches, steps, rng)
        done = Learnt(model, _score(toy, model, held_out), floor, 0)
        while done.steps < steps and not done.beats:
            train(model, recipe.stages[-1], batches, EVERY, rng)
            done = Learnt(model, _score(toy, model, held_out), floor, done.steps + EVERY)
    return done


def _score(toy: Toy, model: Model, batch: Batch) -> float:
    with torch.no_grad():
        return toy.score(model.eval(), batch)


def state(model: nn.Module) -> dict[str, Any]:
    return {k: v.clone() for k, v in model.state_dict().items()}
