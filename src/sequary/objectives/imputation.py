"""Learning to impute: hide some of what is observed, and estimate both that and the rest (SAITS, arXiv 2202.08516, section 3.3)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss, Output
from sequary.objectives.tokens import weighted_mean


@dataclasses.dataclass(frozen=True, slots=True)
class HiddenValues:
    """L = MIT + `reconstruction` · ORT. Of the observed entries a fraction `rate` is hidden at random.

    MIT: error of the final estimate on hidden entries. ORT: mean over all estimates (the final one and `extra`) of the
    error on entries that stay. The error is that of the model's head (absolute for SAITS).
    """

    rate: float = 0.2
    reconstruction: float = 1.0

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        x = batch.values
        real = torch.ones_like(x, dtype=torch.bool) if batch.observed is None else batch.observed
        draw = torch.rand(x.shape, generator=rng, device=rng.device).to(x.device)
        hidden = (draw < self.rate) & real
        left = real & ~hidden
        output = model(dataclasses.replace(batch, values=x * left, observed=left), rng=rng)
        mit, ort = imputation(model, output, x, hidden), reconstruction(model, output, x, left)
        return Loss(mit + self.reconstruction * ort, {"imputation": mit, "reconstruction": ort})


def imputation(model: Model, output: Output, truth: Tensor, hidden: Tensor) -> Tensor:
    """Error of the final estimate on the entries where `hidden`."""
    return weighted_mean(model.head.loss(output.hidden, truth), hidden)


def reconstruction(model: Model, output: Output, values: Tensor, real: Tensor) -> Tensor:
    """Mean over all estimates of the error on the entries where `real`."""
    estimates = (*output.extra.values(), output.hidden)
    return torch.stack([weighted_mean(model.head.loss(e, values), real) for e in estimates]).mean()
