"""A trained tokenizer at work: images encoded once for all steps of the prior, what is lost on the way, and the codes used."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.values import Batch
from sequary.data.images import ImageRows
from sequary.models.tokenized import tokenized
from sequary.tokens.multiscale_vq import MultiScaleVQ
from sequary.tokens.vq import VQ

ROWS = 250
"""Images at a time."""


class TokenRows:
    """A `Source` for the prior's stage: the tokens of images, and their classes. The tokenizer is frozen by then."""

    def __init__(self, model: Model, images: ImageRows) -> None:
        rows = torch.arange(len(images)).split(ROWS)
        self.tokens = torch.cat([encoded(model, images.batch(r).values) for r in rows])
        self.labels = images.labels

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, rows: Tensor) -> Batch:
        return Batch(values=self.tokens[rows], cond=None if self.labels is None else self.labels[rows])


@torch.no_grad()
def encoded(model: Model, values_BCHW: Tensor) -> Tensor:
    """Tokens, on the CPU."""
    where = next(model.parameters()).device
    return tokenized(model).tokenizer.encode(values_BCHW.to(where)).cpu()


@dataclasses.dataclass(frozen=True, slots=True)
class Rebuilt:
    """`error`: mean squared error of a pixel, the range of a pixel being 1. The others are None for tokens that are no codes."""

    error: float
    used: float | None = None
    """Share of the codes that occur at all."""
    perplexity: float | None = None
    """exp of the entropy of the codes: as many used equally often would have it."""


@torch.no_grad()
def rebuilt(model: Model, values_BCHW: Tensor) -> Rebuilt:
    """Of images in [−1, 1]."""
    tokenizer = tokenized(model).tokenizer
    tokens = torch.cat([tokenizer.encode(v) for v in values_BCHW.split(ROWS)])
    again = torch.cat([tokenizer.decode(t) for t in tokens.split(ROWS)]).clamp(-1, 1)
    error = float((again - values_BCHW).square().mean()) / 4
    if not isinstance(tokenizer, VQ | MultiScaleVQ):
        return Rebuilt(error)
    share = torch.bincount(tokens.flatten(), minlength=tokenizer.codebook.table.num_embeddings).double()
    share /= share.sum()
    entropy = -torch.special.xlogy(share, share).sum()
    return Rebuilt(error, float((share > 0).double().mean()), float(entropy.exp()))
