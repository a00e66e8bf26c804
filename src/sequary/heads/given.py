"""For models whose last layer is the prediction already: logits, or points."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.contracts import Head


class GivenPoints(Head):
    """hidden [B, H, C] are the forecasts; squared error."""

    toy = {"lead": (3, 4)}
    degree = 2

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return (self(hidden) - target).square()

    def mean(self, hidden: Tensor) -> Tensor:
        return hidden


class GivenLogits(Head):
    """hidden [..., vocab] are logits; cross-entropy in nats. No parameters: what made the logits learns."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return F.cross_entropy(self(hidden).flatten(0, -2), target.flatten(), reduction="none").view(target.shape)

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        chance = (hidden / temperature).softmax(-1)
        return torch.multinomial(chance.flatten(0, -2), 1, generator=rng).view(chance.shape[:-1])
