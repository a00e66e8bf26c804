"""The forecasters' loss: what the head says about the horizon against what came, where it is known."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.contracts import Forecasts, Model
from sequary.core.values import Batch, Loss
from sequary.objectives.tokens import weighted_mean


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """The model's own loss (squared error, pinball …) over the horizon, in the data's units; missing truth does not count."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        assert isinstance(model, Forecasts)
        assert batch.target is not None
        return Loss(weighted_mean(model.loss(model(batch, rng=rng), batch.target, rng), batch.weight))
