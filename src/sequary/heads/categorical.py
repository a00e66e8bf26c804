"""One of `vocab` symbols: a linear map and cross-entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Head


class Categorical(Head):
    """logits = W h + b. Loss in nats; samples at `temperature` by the inverse of the distribution function."""

    tiny = {"vocab": 11}

    def __init__(self, dim: int, *, vocab: int, bias: bool = False) -> None:
        super().__init__()
        self.out = nn.Linear(dim, vocab, bias=bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., D] -> logits [..., vocab]."""
        return self.out(hidden)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return F.cross_entropy(self(hidden).flatten(0, -2), target.flatten(), reduction="none").view(target.shape)

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """[...] symbols; temperature 0 takes the likeliest."""
        logits = self(hidden)
        if temperature == 0:
            return logits.argmax(-1)
        chance = (logits / temperature).softmax(-1)
        return torch.multinomial(chance.flatten(0, -2), 1, generator=rng).view(chance.shape[:-1])
