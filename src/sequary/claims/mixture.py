"""A mixture of Gaussians as a head: the rival of heads whose density has no family."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Head

LEAST = -5.0
"""Of the log deviations: a Gaussian that shrinks onto one point of the data has no bound."""


class Mixture(Head):
    """log p(x) = log Σ_k π_k Π_c N(x_c; μ_kc, σ_kc); loss [...] in nats a channel."""

    tiny = {"channels": 2, "parts": 3}

    def __init__(self, dim: int, *, channels: int, parts: int) -> None:
        super().__init__()
        self.channels, self.parts = channels, parts
        self.out = nn.Linear(dim, parts * (1 + 2 * channels))

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., parts, 1 + 2 · channels]: logit, means, log deviations."""
        return self.out(hidden).unflatten(-1, (self.parts, -1))

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        logit, mean, log_deviation = self._split(hidden)
        far = (target[..., None, :] - mean) * (-log_deviation).exp()
        each = -0.5 * far.square() - log_deviation - 0.5 * math.log(2 * math.pi)
        return -(logit.log_softmax(-1) + each.sum(-1)).logsumexp(-1) / self.channels

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """[..., channels]."""
        logit, mean, log_deviation = self._split(hidden)
        which = torch.multinomial(logit.softmax(-1).flatten(0, -2), 1, generator=rng).view(*logit.shape[:-1], 1, 1)
        index = which.expand(*which.shape[:-1], self.channels)
        mean, log_deviation = (v.gather(-2, index).squeeze(-2) for v in (mean, log_deviation))
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype)
        return mean + temperature * log_deviation.exp() * noise

    def _split(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        said = self(hidden)
        mean, log_deviation = said[..., 1:].chunk(2, -1)
        return said[..., 0], mean, log_deviation.clamp(min=LEAST)
