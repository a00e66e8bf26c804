"""Where the frequencies of random features come from: parts of the feature maps in spectral_maps.py.

A shift-invariant kernel κ(x − y) is the mean of cos(ω·(x − y)) over its spectral distribution (Bochner). To learn the distribution is
to learn the kernel (Chowdhury et al., On Learning the Transformer Kernel, arXiv 2110.08323, section 3). The noise that is shaped into
frequencies is drawn once, with the weights.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn


class Spectrum(nn.Module):
    """`dim` is the width K of one head: M = `samples` frequencies for each head or for all, as one group of them or two."""

    groups: int = 1

    def __init__(self, dim: int, *, heads: int = 1, samples: int = 8) -> None:
        super().__init__()

    def forward(self) -> tuple[Tensor, ...]:
        """`groups` tensors [H or 1, K, M]."""
        raise NotImplementedError


class Normal(Spectrum):
    """ω ~ N(0, I), which nothing learns: the spectrum of the Gaussian kernel exp(−|x − y|² / 2)."""

    noise: Tensor

    def __init__(self, dim: int, *, heads: int = 1, samples: int = 8) -> None:
        super().__init__(dim)
        self.register_buffer("noise", torch.randn(dim, samples))

    def forward(self) -> tuple[Tensor, ...]:
        return (self.noise[None],)


class Gaussians(Spectrum):
    """ω = Σᵀ ε ± μ with learnt Σ [K, K] and μ: one Gaussian and its mirror image for each of H heads (`heads` 1: for all)."""

    groups = 2
    noise: Tensor

    def __init__(self, dim: int, *, heads: int = 1, samples: int = 8) -> None:
        super().__init__(dim)
        self.register_buffer("noise", torch.randn(dim, samples))
        self.sigma = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, dim, dim)))
        self.mean = nn.Parameter(torch.empty(heads, dim).uniform_(-1, 1) / math.sqrt(dim))

    def forward(self) -> tuple[Tensor, ...]:
        shaped_HKM = self.sigma.mT @ self.noise
        mean_HK1 = self.mean[..., None]
        return shaped_HKM + mean_HK1, shaped_HKM - mean_HK1


class DiagonalGaussians(Spectrum):
    """ω = exp(s / 2) ε + μ with a learnt log variance s for each of K axes, or one for all (`isotropic`), and μ, of each head."""

    noise: Tensor

    def __init__(self, dim: int, *, heads: int = 1, samples: int = 8, isotropic: bool = False) -> None:
        super().__init__(dim)
        self.register_buffer("noise", torch.randn(dim, samples))
        axes = 1 if isotropic else dim
        self.log_variance = nn.Parameter(torch.empty(heads, axes).uniform_(-1, 1) / math.sqrt(dim))
        self.mean = nn.Parameter(torch.empty(heads, dim).uniform_(-1, 1) / math.sqrt(dim))

    def forward(self) -> tuple[Tensor, ...]:
        return (self.noise * (self.log_variance / 2).exp()[..., None] + self.mean[..., None],)


class Generated(Spectrum):
    """ω = tanh(net(ε)): a network makes the frequencies out of noise of `widths[0]` entries, by hidden layers of `widths[1:]`."""

    noise: Tensor

    def __init__(self, dim: int, *, heads: int = 1, samples: int = 8, widths: tuple[int, ...] = (8, 16)) -> None:
        super().__init__(dim)
        self.register_buffer("noise", torch.randn(samples, widths[0]))
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(widths):
            layers += [nn.Linear(inner, outer), nn.BatchNorm1d(outer), nn.LeakyReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(widths[-1], dim), nn.Tanh())

    def forward(self) -> tuple[Tensor, ...]:
        return (self.net(self.noise).mT[None],)


class Fastfood(Spectrum):
    """ωᵀ x = S H G P H B x / √K: K frequencies by two Hadamard matrices H, a permutation P and learnt diagonals S, G, B.

    Le, Sarlós & Smola, Fastfood (2013). K must be a power of two, and `samples` is K.
    """

    place: Tensor

    def __init__(self, dim: int, *, heads: int = 1, samples: int | None = None) -> None:
        super().__init__(dim)
        if dim & (dim - 1) or samples not in (None, dim):
            raise ValueError(
                f"{dim} entries a head, samples={samples}; Fastfood takes a power of two, and as many samples"
            )
        self.s, self.g, self.b = (nn.Parameter(torch.randn(dim) / math.sqrt(dim)) for _ in range(3))
        self.register_buffer("place", torch.randperm(dim))

    def forward(self) -> tuple[Tensor, ...]:
        rows = hadamard(torch.diag(self.b))[:, self.place] * self.g
        return ((hadamard(rows) * self.s / math.sqrt(len(self.b)))[None],)


def hadamard(x: Tensor) -> Tensor:
    """[..., K] times the Hadamard matrix of K = 2^n rows (Sylvester's), in n steps."""
    size = x.shape[-1]
    for half in (2**n for n in range(size.bit_length() - 1)):
        a, b = x.reshape(*x.shape[:-1], -1, 2, half).unbind(-2)
        x = torch.stack((a + b, a - b), -2).flatten(-3)
    return x
