"""One of several classes from the first token of a row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Head


class FirstTokenClass(Head):
    """logits = W' tanh(W h_0 + b) + b', hidden [B, T, D] -> [B, classes]; cross-entropy (BERT's pooler and classifier)."""

    tiny = {"classes": 3}
    toy = {"lead": (3, 4)}

    def __init__(self, dim: int, *, classes: int) -> None:
        super().__init__()
        self.pool, self.out = nn.Linear(dim, dim), nn.Linear(dim, classes)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(self.pool(hidden[:, 0]).tanh())

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return F.cross_entropy(self(hidden), target, reduction="none")

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """[B] classes; temperature 0 takes the likeliest."""
        logits = self(hidden)
        if temperature == 0:
            return logits.argmax(-1)
        return torch.multinomial((logits / temperature).softmax(-1), 1, generator=rng)[:, 0]
