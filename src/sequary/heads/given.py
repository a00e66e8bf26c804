"""For models whose last layer is the prediction already: the logits are the hidden."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.contracts import Head


class GivenLogits(Head):
    """hidden [..., vocab] are logits; cross-entropy in nats. No parameters: what made the logits learns."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return F.cross_entropy(hidden.flatten(0, -2), target.flatten(), reduction="none").view(target.shape)

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        chance = (hidden / temperature).softmax(-1)
        return torch.multinomial(chance.flatten(0, -2), 1, generator=rng).view(chance.shape[:-1])
