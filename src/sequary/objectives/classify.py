"""The loss of classifiers."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.objectives.tokens import weighted_mean


@dataclasses.dataclass(frozen=True, slots=True)
class ClassLoss:
    """Learns `batch.target` [B], the class of each row, by the head's loss: nats, mean over rows. Others add to it."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        assert batch.target is not None
        return Loss(weighted_mean(model.head.loss(model(batch, rng=rng).hidden, batch.target, rng), batch.weight))


@dataclasses.dataclass(frozen=True, slots=True)
class Classify(ClassLoss):
    """That loss alone."""
