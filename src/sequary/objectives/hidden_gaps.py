"""Learning to impute gaps: what is hidden looks like what is missing, since it is cut out by the gaps of other rows."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.objectives.imputation import imputation, reconstruction


@dataclasses.dataclass(frozen=True, slots=True)
class HiddenGaps:
    """The loss of `HiddenValues`, MIT + `reconstruction` · ORT, on other hidden entries.

    Hidden is what another row of the batch, drawn at random, lacks: gaps of the data's own lengths, at once in as many
    channels. And, as there, a fraction `rate` of single entries, so that rows without gaps teach something too.
    """

    rate: float = 0.2
    reconstruction: float = 1.0

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        x = batch.values
        real = torch.ones_like(x, dtype=torch.bool) if batch.observed is None else batch.observed
        draw = torch.rand(x.shape, generator=rng, device=rng.device).to(x.device)
        other = torch.randperm(len(x), generator=rng, device=rng.device).to(x.device)
        hidden = ((draw < self.rate) | ~real[other]) & real
        left = real & ~hidden
        output = model(dataclasses.replace(batch, values=x * left, observed=left), rng=rng)
        mit, ort = imputation(model, output, x, hidden), reconstruction(model, output, x, left)
        return Loss(mit + self.reconstruction * ort, {"imputation": mit, "reconstruction": ort})
