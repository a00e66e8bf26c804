"""Losses of models that make images from tokens: the tokenizer's own, and those of the priors over its tokens."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.models.tokenized import Tokenized, tokenized
from sequary.objectives.tokens import weighted_mean
from sequary.orders.masked import Masked
from sequary.orders.permuted import Permuted


@dataclasses.dataclass(frozen=True, slots=True)
class Reconstruct:
    """mean (x − x̂)² and the tokenizer's own terms (quantiser, KL). Stage of `learns="tokenizer"`."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        again, terms = tokenized(model).tokenizer.learn(batch.values, rng)
        error = F.mse_loss(again, batch.values)
        return Loss(torch.stack([error, *terms.values()]).sum(), {"error": error, **terms})


def tokens_of(model: Tokenized, batch: Batch) -> Tensor:
    """Of the batch's images; values without four axes are tokens already, encoded once for all steps."""
    if batch.values.dim() != 4:
        return batch.values
    with torch.no_grad():
        return model.tokenizer.encode(batch.values)


def sometimes_none(model: Tokenized, batch: Batch, drop: float, rng: torch.Generator) -> Tensor:
    """[B] classes, each forgotten with chance `drop`, so that guidance has something to compare with."""
    classes = model.prior.condition(batch)
    forget = torch.rand(classes.shape, generator=rng, device=rng.device).to(classes.device) < drop
    return torch.where(forget, model.prior.classes, classes)


@dataclasses.dataclass(frozen=True, slots=True)
class NextGroup:
    """−log p(tokens | the groups before them, class), nats a token; the prior knows its groups (VAR's scales)."""

    drop: float = 0.1

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        whole = tokenized(model)
        codes, cond = tokens_of(whole, batch), sometimes_none(whole, batch, self.drop, rng)
        given = dataclasses.replace(batch, values=whole.tokenizer.inputs(codes), cond=cond)
        return Loss(whole.head.loss(whole(given, rng=rng).hidden, codes, rng).mean())


@dataclasses.dataclass(frozen=True, slots=True)
class PermutedTokens:
    """−log p(code | the codes before it in an order, class), nats a code; `order` anneals from random to raster by `progress`."""

    tiny: ClassVar[Mapping[str, Any]] = {"grid": (2, 2)}

    grid: tuple[int, ...]
    order: Permuted = Permuted()
    drop: float = 0.1
    progress: float = 0.0

    def at(self, progress: float) -> PermutedTokens:
        """As it is at that point of training (`train.hooks.Progressive`)."""
        return dataclasses.replace(self, progress=progress)

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        whole = tokenized(model)
        codes, cond = tokens_of(whole, batch), sometimes_none(whole, batch, self.drop, rng)
        cells = self.order.rows(len(codes), self.grid, rng, self.progress).to(codes.device)
        given = dataclasses.replace(batch, values=codes, cond=cond, order=cells.argsort(1))
        return Loss(whole.head.loss(whole(given, rng=rng).hidden, codes, rng).mean())


@dataclasses.dataclass(frozen=True, slots=True)
class MaskedLatentTokens:
    """The head's loss at the hidden cells. A share of them, the same for all rows, is drawn from N(1, `deviation`²) cut to [`least`, 1].

    Which ones: the first of a random order, as `order` decodes (MAR, appendix B: 0.25 and 0.7).
    """

    tiny: ClassVar[Mapping[str, Any]] = {"grid": (2, 2)}

    grid: tuple[int, ...]
    order: Masked = Masked()
    least: float = 0.7
    deviation: float = 0.25
    drop: float = 0.1

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        whole = tokenized(model)
        latents, cond = tokens_of(whole, batch), sometimes_none(whole, batch, self.drop, rng)
        cells = self.order.rows(len(latents), self.grid, rng).to(latents.device)
        hidden = cells.argsort(1) < math.ceil(cells.shape[1] * self.share(rng))
        given = dataclasses.replace(batch, values=latents, cond=cond, observed=~hidden)
        return Loss(weighted_mean(whole.head.loss(whole(given, rng=rng).hidden, latents, rng), hidden))

    def share(self, rng: torch.Generator) -> float:
        """By the inverse of the distribution function."""
        low = 0.5 * (1 + math.erf((self.least - 1) / self.deviation / math.sqrt(2)))
        u = low + (0.5 - low) * float(torch.rand((), generator=rng, device=rng.device))
        return min(1.0, 1 + self.deviation * math.sqrt(2) * float(torch.erfinv(torch.tensor(2 * u - 1))))
