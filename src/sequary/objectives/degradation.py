"""Learning to find anomalies without any: normal windows are degraded at a random span, and the model says where.

AnomalyBERT (arXiv 2305.04468), section 3.2: four kinds of outliers, made from the data itself.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.objectives.tokens import weighted_mean

KINDS = ("soft", "uniform", "peak", "length")


@dataclasses.dataclass(frozen=True, slots=True)
class Degradation:
    """Binary cross-entropy of the main head, point by point, mean over real steps; labels are 1 on the degraded span.

    A row gets one kind or none, with these chances:
    `soft` (1 − w) x + w x', x' a span of another row, w ~ U(0, 1) for each channel; `uniform` one value for each channel,
    between its least and greatest in the batch; `peak` one point, moved by 1 to 4 deviations of its channel; `length` the
    same stretch of the row run slower or faster by 2 to 4 times. Spans last up to `longest` of the window.
    """

    soft: float = 0.5
    uniform: float = 0.15
    peak: float = 0.15
    length: float = 0.1
    longest: float = 0.25

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        values, labels = self.degrade(batch, rng)
        hidden = model(dataclasses.replace(batch, values=values), rng=rng).hidden
        return Loss(weighted_mean(model.head.loss(hidden, labels.to(hidden.dtype), rng), batch.token_mask))

    def degrade(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(values [B, T, C] degraded at observed entries, labels [B, T] bool). The batch stays as it is."""
        x, draws = batch.values, Draws(rng, batch.values.device)
        rows, steps, _ = x.shape
        chances = torch.tensor([self.soft, self.uniform, self.peak, self.length])
        edges = chances.cumsum(0).to(x.device)
        if edges[-1] > 1:
            raise ValueError(f"chances of {', '.join(KINDS)} sum to {edges[-1]:.3g}; they must not exceed 1")
        kind = torch.bucketize(draws.uniform(rows), edges, right=True)
        size = 1 + draws.below(torch.full((rows,), max(1, round(self.longest * steps)), device=x.device))
        size = torch.where(kind == KINDS.index("peak"), 1, size)
        start = draws.below(steps - size + 1)
        t = torch.arange(steps, device=x.device)
        labels = (t >= start[:, None]) & (t < (start + size)[:, None]) & (kind < len(KINDS))[:, None]
        made = torch.stack(
            (_soft(x, start, size, draws), _uniform(x, draws), _peak(x, draws), _length(x, start, size, draws))
        )
        new = made[kind.clamp(max=len(KINDS) - 1), torch.arange(rows, device=x.device)]
        change = labels[..., None] if batch.observed is None else labels[..., None] & _entries(batch.observed)
        return torch.where(change, new, x), labels


@dataclasses.dataclass(frozen=True, slots=True)
class Draws:
    """Random numbers from the objective's generator, on the device of the batch."""

    rng: torch.Generator
    device: torch.device

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.rng, device=self.rng.device).to(self.device)

    def below(self, limit: Tensor) -> Tensor:
        """Integers from 0 to limit − 1."""
        return (self.uniform(*limit.shape) * limit).long().minimum(limit - 1)


def _entries(observed: Tensor) -> Tensor:
    return observed if observed.dim() == 3 else observed[..., None]


def _soft(x: Tensor, start: Tensor, size: Tensor, draws: Draws) -> Tensor:
    rows, steps, channels = x.shape
    other = torch.arange(rows, device=x.device)
    if rows > 1:
        other = (other + 1 + draws.below(torch.full_like(other, rows - 1))) % rows
    begin = draws.below(steps - size + 1)
    at = (torch.arange(steps, device=x.device) - start[:, None] + begin[:, None]).clamp(0, steps - 1)
    outside = x[other].gather(1, at[..., None].expand(-1, -1, channels))
    return torch.lerp(x, outside, draws.uniform(rows, 1, channels).to(x.dtype))


def _uniform(x: Tensor, draws: Draws) -> Tensor:
    low, high = x.amin((0, 1)), x.amax((0, 1))
    return (low + (high - low) * draws.uniform(x.shape[0], 1, x.shape[2]).to(x.dtype)).expand_as(x)


def _peak(x: Tensor, draws: Draws) -> Tensor:
    rows, _, channels = x.shape
    sign = torch.where(draws.uniform(rows, 1, channels) < 0.5, -1.0, 1.0)
    height = (1 + 3 * draws.uniform(rows, 1, channels)) * sign
    return x + height.to(x.dtype) * x.flatten(0, 1).std(0, correction=0)


def _length(x: Tensor, start: Tensor, size: Tensor, draws: Draws) -> Tensor:
    """Read at another speed, from a stretch around the same place that lies within the window."""
    rows, steps, _ = x.shape
    factor = 2 ** (1 + draws.uniform(rows))
    speed = torch.where(draws.uniform(rows) < 0.5, factor, 1 / factor).minimum((steps - 1) / size)
    begin = (start + (1 - speed) * size / 2).clamp(min=0).minimum(steps - 1 - speed * (size - 1)).clamp(min=0)
    at = begin[:, None] + (torch.arange(steps, device=x.device) - start[:, None]) * speed[:, None]
    at = at.clamp(0, steps - 1)
    low = at.floor().long()
    pick = low[..., None].expand(-1, -1, x.shape[2])
    return torch.lerp(
        x.gather(1, pick), x.gather(1, (pick + 1).clamp(max=steps - 1)), (at - low)[..., None].to(x.dtype)
    )
