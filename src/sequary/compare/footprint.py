"""Parameters of a system and the memory of one training step, found out without training.

Weights, gradients and the two moments of Adam are 16 bytes a parameter. What the backward pass keeps is counted from one
step on two rows and scaled up to the batch. The parameters are counted first, without any memory for them.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.compare.ask import Ask
from sequary.compare.machine import MB, free_mb
from sequary.core.catalogue import System
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.data.panel import Panel
from sequary.tasks.forecast import train as forecasting
from sequary.tasks.language import train as language
from sequary.tasks.training import altered

BYTES = 16
ROWS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Footprint:
    params: int
    memory_mb: float

    def too_large(self, free: float) -> str | None:
        """In words, why it does not fit."""
        if self.memory_mb <= free:
            return None
        return (
            f"a training step needs about {self.memory_mb:,.0f} MB ({self.params:,} parameters), {free:,.0f} MB are free; "
            "set a smaller size, or --max-params"
        )


def of_forecaster(system: System, panel: Panel, ask: Ask) -> Footprint:
    assert system.recipe is not None
    context = int(ask.setting.get("context", forecasting.default_context(panel, ask.horizon)))
    bound = forecasting.prepare(
        altered(system.recipe, ask.setting), panel, context=context, horizon=ask.horizon, levels=ask.levels
    )
    width = len(panel.channels)

    def covariates(length: int, count: int) -> Tensor | None:
        return torch.zeros(ROWS, length, count) if count else None

    batch = Batch(
        values=torch.randn(ROWS, context, width, generator=torch.Generator().manual_seed(0)),
        target=torch.zeros(ROWS, ask.horizon, width),
        past=covariates(context, len(panel.past)),
        future=covariates(context + ask.horizon, len(panel.future)),
        static=torch.zeros(ROWS, len(panel.static)) if panel.static else None,
    )
    return of(bound, batch)


def of_speaker(system: System, ask: Ask) -> Footprint:
    assert system.recipe is not None
    context = int(ask.setting.get("context", language.CONTEXT))
    bound = language.prepare(altered(system.recipe, ask.setting), context=context)
    tokens = torch.zeros(ROWS, context, dtype=torch.long)
    return of(bound, Batch(values=tokens, target=tokens))


def parameters(recipe: Recipe) -> int:
    """Of a bound recipe, built without memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in recipe.build().parameters())


def of(recipe: Recipe, batch: Batch) -> Footprint:
    """Of a bound recipe trained on batches such as this one (`ROWS` rows)."""
    params = parameters(recipe)
    weights = params * BYTES / MB
    if weights > free_mb():
        return Footprint(params, weights)
    with torch.random.fork_rng(devices=()):
        kept = _kept(recipe, batch)
    return Footprint(params, weights + kept / ROWS * recipe.stages[0].train.batch / MB)


def _kept(recipe: Recipe, batch: Batch) -> int:
    """Bytes that the backward pass of one step keeps, parameters left out."""
    model, seen = recipe.build(), dict[int, int]()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = recipe.stages[0].objective(model, batch, torch.Generator().manual_seed(0)).value
        loss.backward()
    return sum(seen.values())
