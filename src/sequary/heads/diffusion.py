"""Diffusion loss: the density of one continuous token, given the backbone's vector, as a small diffusion model (arXiv 2406.11838).

L(z, x) = E_{ε, i} ‖ε − ε_θ(x_i | i, z)‖², x_i = √ᾱ_i x + √(1 − ᾱ_i) ε (section 3.2); the variance is learnt by the variational term of
Nichol & Dhariwal (arXiv 2102.09672, section 3.1), in which ε_θ is held fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sequary.core.contracts import Head
from sequary.heads.denoiser import Denoiser
from sequary.noise.gaussian import Gaussian, LinearBetas, Steps

BIN = 1 / 255
"""Half the width of the bins in which the likelihood of the first step is discretised; data within [−1, 1]."""
Draw = Callable[[], Tensor]
Predict = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x, step numbers [N]) -> (ε, v)."""


class Diffusion(Head):
    """hidden [..., D] -> a vector of `channels`; loss [...] against targets [..., channels], about unit deviation.

    `repeats` steps i are drawn for each token at a time; samples take `calls` steps of the chain. Temperature scales the noise.
    """

    tiny = {"channels": 1, "width": 32, "depth": 1, "noise": Gaussian(100, LinearBetas()), "repeats": 2, "calls": 20}

    def __init__(
        self,
        dim: int,
        *,
        channels: int,
        width: int = 256,
        depth: int = 3,
        noise: Gaussian = Gaussian(),
        repeats: int = 4,
        calls: int = 100,
    ) -> None:
        super().__init__()
        self.channels, self.noise, self.repeats, self.calls = channels, noise, repeats, calls
        self.net = Denoiser(dim, channels=channels, width=width, depth=depth)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., 2 · channels]: ε and v at x = 1, halfway of the chain. A density has no parameters of its own; this is one look at it."""
        z = hidden.flatten(0, -2)
        middle = torch.full((len(z),), self.noise.count // 2, device=z.device)
        return self.net(z.new_ones(len(z), self.channels), middle, z).unflatten(0, hidden.shape[:-1])

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        if rng is None:
            raise ValueError("the diffusion loss draws steps and noise; pass rng")
        z, x = (v.flatten(0, -2).repeat(self.repeats, 1) for v in (hidden, target))
        step = torch.randint(self.noise.count, (len(x),), generator=rng, device=rng.device).to(x.device)
        mse, bits = self.terms(z, x, step, normal(x, rng))
        return (mse + bits).unflatten(0, (self.repeats, *target.shape[:-1])).mean(0)

    def terms(self, z: Tensor, x: Tensor, step_N: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """[N] squared error of the noise, and the variational term in bits a channel."""
        chain = self.noise.chain(self.noise.count, x.device)
        x_i = corrupted(chain, x, step_N, noise)
        eps, v = self.net(x_i, step_N, z).chunk(2, -1)
        said, log_var = posterior(chain, x_i, step_N, eps.detach(), v)
        true = mean_given(chain, x, x_i, step_N)
        floor = at(chain.floor, step_N, x)
        kl = 0.5 * (log_var - floor - 1 + (floor - log_var).exp() + (true - said).square() * (-log_var).exp())
        nll = -log_likelihood(x, said, 0.5 * log_var)
        bits = torch.where(step_N[:, None] == 0, nll, kl).mean(-1) / math.log(2)
        return (noise - eps).square().mean(-1), bits

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """[..., channels]."""
        z = hidden.flatten(0, -2)
        return self._reversed(hidden, lambda x, step: self.predict(x, step, z), rng, temperature)

    def guided(
        self, hidden: Tensor, without: Tensor, weight: float, rng: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """Classifier-free guidance: ε(without) + weight · (ε(hidden) − ε(without)), on the path of one x; v is that of `hidden`."""
        z, plain = hidden.flatten(0, -2), without.flatten(0, -2)

        def predict(x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
            eps, v = self.predict(x, step, z)
            base, _ = self.predict(x, step, plain)
            return base + weight * (eps - base), v

        return self._reversed(hidden, predict, rng, temperature)

    def predict(self, x: Tensor, step_N: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        eps, v = self.net(x, step_N, z).chunk(2, -1)
        return eps, v

    def _reversed(self, hidden: Tensor, predict: Predict, rng: torch.Generator, temperature: float) -> Tensor:
        like = hidden.new_empty(hidden.shape[:-1].numel(), self.channels)
        x = reverse(self.noise.chain(self.calls, like.device), predict, lambda: normal(like, rng), temperature)
        return x.unflatten(0, hidden.shape[:-1])


def normal(like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=rng, device=rng.device, dtype=like.dtype).to(like.device)


def at(table: Tensor, index_N: Tensor, like: Tensor) -> Tensor:
    """[N, 1] entries of a float64 table, in the type of `like`."""
    return table[index_N].to(like.dtype)[:, None]


def corrupted(chain: Steps, x: Tensor, index_N: Tensor, noise: Tensor) -> Tensor:
    return at(chain.kept.sqrt(), index_N, x) * x + at((1 - chain.kept).sqrt(), index_N, x) * noise


def mean_given(chain: Steps, x: Tensor, x_i: Tensor, index_N: Tensor) -> Tensor:
    """Mean of x_{i−1} given x_i and the data x."""
    first = chain.beta * chain.kept_before.sqrt() / (1 - chain.kept)
    second = (1 - chain.kept_before) * (1 - chain.beta).sqrt() / (1 - chain.kept)
    return at(first, index_N, x) * x + at(second, index_N, x) * x_i


def posterior(chain: Steps, x_i: Tensor, index_N: Tensor, eps: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of x_{i−1} and log variance that the network says; v from −1 (β̃) to 1 (β)."""
    x = at((1 / chain.kept).sqrt(), index_N, x_i) * x_i - at((1 / chain.kept - 1).sqrt(), index_N, x_i) * eps
    share = (v + 1) / 2
    log_var = share * at(chain.beta.log(), index_N, x_i) + (1 - share) * at(chain.floor, index_N, x_i)
    return mean_given(chain, x, x_i, index_N), log_var


def log_likelihood(x: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """log of a Gaussian's mass in the bin of width 2/255 around x; the outermost bins reach to infinity. A tanh form of Φ."""

    def phi(u: Tensor) -> Tensor:
        return 0.5 * (1 + (math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)).tanh())

    scale = (-log_deviation).exp()
    above, below = phi(scale * (x - mean + BIN)), phi(scale * (x - mean - BIN))
    mass = torch.where(x < -0.999, above, torch.where(x > 0.999, 1 - below, above - below))
    return mass.clamp(min=1e-12).log()


def reverse(chain: Steps, predict: Predict, draw: Draw, temperature: float) -> Tensor:
    """From noise down the chain to data; `draw` gives standard normal noise, first the start, then one for each step."""
    x = draw()
    for i in reversed(range(len(chain.at))):
        index = torch.full((len(x),), i, device=x.device)
        eps, v = predict(x, chain.at[index])
        mean, log_var = posterior(chain, x, index, eps, v)
        fresh = draw()
        x = mean if i == 0 else mean + temperature * (0.5 * log_var).exp() * fresh
    return x
