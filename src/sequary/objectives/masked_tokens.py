"""Masked prediction of discrete tokens."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.objectives.tokens import weighted_mean


@dataclasses.dataclass(frozen=True, slots=True)
class MaskedTokens:
    """−log p(x_t | the others) at a fraction `rate` of the real tokens, which the model sees as `symbol`. Nats.

    The truth is `batch.target` [B, T], or the tokens themselves. `symbol`: a token that the data does not
    use (byte 0 in text). At least one real token of the batch is hidden.
    """

    rate: float = 0.15
    symbol: int = 0

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        ids = batch.values
        real = torch.ones_like(ids, dtype=torch.bool) if batch.token_mask is None else batch.token_mask
        draw = torch.rand(ids.shape, generator=rng, device=rng.device).to(ids.device)
        draw = torch.where(real, draw, 2.0)
        hidden = (draw < self.rate) | ((draw == draw.min()) & real)
        seen = dataclasses.replace(batch, values=torch.where(hidden, self.symbol, ids))
        loss = model.head.loss(model(seen, rng=rng).hidden, ids if batch.target is None else batch.target, rng)
        return Loss(weighted_mean(loss, hidden if batch.weight is None else hidden * batch.weight))
