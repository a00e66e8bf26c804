"""A loss of their own for networks that make kernels: those of all layers draw near to each other (arXiv 2401.17948)."""

from __future__ import annotations

import dataclasses
import itertools

import torch

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.mixers.conv.hyper import PlacedKernel
from sequary.objectives.classify import ClassLoss


@dataclasses.dataclass(frozen=True, slots=True)
class SlowFeedback(ClassLoss):
    """The loss of a classifier + `weight` · Σ over pairs of layers of the mean of (w − w')² over channels and one span of places."""

    weight: float = 0.1

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        fast = ClassLoss.__call__(self, model, batch, rng)
        layers = [m for m in model.modules() if isinstance(m, PlacedKernel)]
        kernels = [m.places(torch.arange(m.span, device=m.fast.weight.device)) for m in layers]
        pairs = [(a - b).square().mean() for a, b in itertools.combinations(kernels, 2) if a.shape == b.shape]
        slow = torch.stack(pairs).sum() if pairs else torch.zeros_like(fast.value)
        return Loss(fast.value + self.weight * slow, {"slow": slow})
