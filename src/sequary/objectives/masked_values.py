"""Masked values of a series: spans of single channels are set to 0 and predicted from the rest (arXiv 2010.02803, section 3.3)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Head, Model
from sequary.core.values import Batch, Loss
from sequary.objectives.tokens import weighted_mean


@dataclasses.dataclass(frozen=True, slots=True)
class MaskedValues:
    """The loss of the head named `head` (squared error) on masked and observed entries only.

    Each channel of each row has spans of its own: masked ones of geometric length with mean `span`, unmasked ones of
    geometric length with mean `span` (1 − rate) / rate, so that a fraction `rate` is masked.
    """

    rate: float = 0.15
    span: float = 3.0
    head: str = "main"

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        x = batch.values
        masked = spans(x.shape[0], x.shape[1], x.shape[2], rate=self.rate, mean=self.span, rng=rng).to(x.device)
        seen = dataclasses.replace(batch, values=x * ~masked)
        head = model.heads[self.head]
        assert isinstance(head, Head)
        each = head.loss(model(seen, rng=rng).hidden, x, rng)
        real = batch.observed if batch.observed is None or batch.observed.dim() == 3 else batch.observed[..., None]
        return Loss(weighted_mean(each, masked if real is None else masked & real))


def spans(rows: int, length: int, channels: int, *, rate: float, mean: float, rng: torch.Generator) -> Tensor:
    """[rows, length, channels] bool, True = masked: alternating geometric spans, begun in the state that `rate` gives.

    A geometric length has no memory, so the first span may begin anywhere, and no step is masked more often than another.
    """
    if not 0 < rate < 1 or mean < 1 or mean * (1 - rate) / rate < 1:
        raise ValueError(
            f"rate={rate}, span={mean}: spans of both kinds last a step at least; lower rate or raise span"
        )
    shape, where = (rows, channels, length), rng.device
    begins_masked = torch.rand(rows, channels, 1, generator=rng, device=where) < rate
    turn = torch.arange(length, device=where) % 2 == 0
    end = torch.where(turn == begins_masked, 1 / mean, rate / (mean * (1 - rate)))
    draw = torch.rand(shape, generator=rng, device=where, dtype=torch.float64)
    lengths = ((1 - draw).log() / (-end.double()).log1p()).floor() + 1
    passed = torch.searchsorted(
        lengths.cumsum(-1), torch.arange(length, device=where).double().expand(shape).contiguous(), right=True
    )
    return ((passed % 2 == 0) == begins_masked).transpose(1, 2)
