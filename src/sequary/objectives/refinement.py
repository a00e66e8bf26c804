"""The loss of models that refine a candidate by descending an energy: what each inner step arrived at against the truth."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.models.energy import EnergyModel
from sequary.objectives.tokens import weighted_mean


@dataclasses.dataclass(frozen=True, slots=True)
class Refinement:
    """Mean over inner steps of −log softmax(y)[truth], nats; `batch.target` [B, S] holds the next tokens."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        assert isinstance(model, EnergyModel)
        assert batch.target is not None
        learn = torch.is_grad_enabled()
        path = model.refine(batch, model.start(batch, rng), rng, learn=learn)
        terms: dict[str, Tensor] = {
            f"step{i}": weighted_mean(model.head.loss(p.logits, batch.target), batch.weight) for i, p in enumerate(path)
        }
        return Loss(torch.stack(list(terms.values())).mean(), terms)
