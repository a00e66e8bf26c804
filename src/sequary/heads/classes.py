"""One of `classes`, for a whole row: a linear map and cross-entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Head


class Classes(Head):
    """[..., D] -> logits [..., classes]; loss in nats against integer classes [...]."""

    tiny = {"classes": 5}

    def __init__(self, dim: int, *, classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, classes)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        logits = self(hidden)
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.flatten(), reduction="none").view(
            target.shape
        )

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """[...] classes; temperature 0 takes the likeliest."""
        logits = self(hidden)
        if temperature == 0:
            return logits.argmax(-1)
        chance = (logits / temperature).softmax(-1)
        drawn = torch.multinomial(chance.reshape(-1, chance.shape[-1]), 1, generator=rng)
        return drawn.view(chance.shape[:-1])
