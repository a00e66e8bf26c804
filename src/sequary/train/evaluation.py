"""The loss on data that is not learnt from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sequary.core.contracts import Model, Objective
from sequary.core.values import Batch
from sequary.train.diverged import Diverged, bad_weight
from sequary.train.learning import evaluating
from sequary.train.seeds import generator
from sequary.train.source import Source


def moved(batch: Batch, device: torch.device) -> Batch:
    return batch if device.type == "cpu" else batch.map(lambda t: t.to(device, non_blocking=True))


@torch.no_grad()
def evaluate(model: Model, objective: Objective, source: Source, *, batch: int, seed: int, step: int = 0) -> float:
    """The mean over all rows, in evaluation mode and full precision, from the same random numbers each time.

    Raises:
        Diverged: it is not finite; names the first batch.
    """
    device = next(model.parameters()).device
    rng = generator(device, seed, "validation")
    rows = [r for r in torch.arange(len(source)).split(batch) if len(r)]
    if not rows:
        raise ValueError("the validation source has no rows; give it some, or none at all (validation=None)")
    with evaluating(model):
        found: list[Tensor] = [objective(model, moved(source.batch(r), device), rng).value for r in rows]
        losses: list[float] = torch.stack(found).tolist()
    for r, loss in zip(rows, losses, strict=True):
        if not math.isfinite(loss):
            weight = bad_weight(dict(model.named_parameters()))
            raise Diverged(f"the validation loss is {loss}", step=step, rows=r.tolist(), parameter=weight)
    return math.fsum(loss * len(r) for r, loss in zip(rows, losses, strict=True)) / len(source)
