"""Losses over discrete tokens."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Head, Model
from sequary.core.values import Batch, Loss


def weighted_mean(loss: Tensor, weight: Tensor | None) -> Tensor:
    """The mean over entries that count; 0 where none does."""
    if weight is None:
        return loss.mean()
    weight = weight.to(loss.dtype)
    return (loss * weight).sum() / weight.sum().clamp(min=torch.finfo(loss.dtype).tiny)


@dataclasses.dataclass(frozen=True, slots=True)
class NextToken:
    """−log p(x_{t+1} | x_0..t), nats, mean over real tokens. `batch.target` [B, T] holds the next tokens.

    Extra heads ("ahead1" …) learn the tokens further on, with equal weight (blockwise parallel decoding, section 6).
    """

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        assert batch.target is not None
        output = model(batch, rng=rng)
        terms: dict[str, Tensor] = {}
        for shift, (name, head) in enumerate(model.heads.items()):
            stop = batch.target.shape[1] - shift
            assert isinstance(head, Head)
            each = head.loss(output.hidden[:, :stop], batch.target[:, shift:], rng)
            terms[name] = weighted_mean(each, None if batch.weight is None else batch.weight[:, shift:])
        return Loss(torch.stack(list(terms.values())).mean(), terms)
