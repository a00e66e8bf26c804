"""How the covariance of tokens moves through a random shaped transformer whose depth grows with its width (arXiv 2306.17759).

V^{αβ} = x^α·x^β / n. One layer changes V by b(V) / n + noise of variance Σ(V) / n, so that V follows dV = b dt + Σ^{1/2} dB in
t = layer / n. Derived for any `shares` C [T, T], whose row α is uniform over what token α sees, for H heads and for the two
projections of a layer, values and output; the paper's theorem is C = 1/T, one head and one projection.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

linalg: Any = torch.linalg  # torch has no types for it
LARGEST = 100.0


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What the equation reads of a network: γ, τ0, H, hidden / dim of the feed-forward, and c₊ − c₋ of its activation."""

    gain: float
    temperature: float
    heads: int
    ratio: float
    bend: float


def root(v_BTT: Tensor) -> Tensor:
    """R with R Rᵀ = V; what rounding left below 0 counts as 0."""
    found: tuple[Tensor, Tensor] = linalg.eigh(v_BTT)
    return found[1] * found[0].clamp(min=0).sqrt()[:, None]


def attention_drift(v_BTT: Tensor, shares_TT: Tensor, temperature: float) -> Tensor:
    """E[F V Fᵀ] + E[F] V + V E[F]ᵀ, F the attention matrix less the identity, to the order 1/n."""
    c, m = shares_TT, shares_TT @ v_BTT
    q = m @ c.mT
    squares = c @ v_BTT.square() @ c.mT - c @ m.square().mT - m.square() @ c.mT + q.square()
    size, middle = (x.diagonal(dim1=-2, dim2=-1) for x in (v_BTT, q))
    spread = size[:, :, None] * (size[:, None] - 2 * m + middle[:, :, None])
    mean = 0.5 * c * (spread - (c * spread).sum(-1, keepdim=True)) @ v_BTT
    return (v_BTT * squares + mean + mean.mT) / temperature**2


def activation_drift(v_BTT: Tensor, bend: float) -> Tensor:
    """(c₊ − c₋)² / 2π · (√(1 − ρ²) − ρ arccos ρ) √(V^{αα} V^{ββ}), ρ the cosine."""
    size = v_BTT.diagonal(dim1=-2, dim2=-1).sqrt()
    sizes = size[:, :, None] * size[:, None]
    cosine = (v_BTT / sizes).clamp(-1, 1)
    return bend**2 / (2 * math.pi) * ((1 - cosine.square()).sqrt() - cosine * cosine.arccos()) * sizes


def linear_noise(v_BTT: Tensor, rng: torch.Generator) -> Tensor:
    """Covariance V^{αδ} V^{βω} + V^{αω} V^{βδ}: what one random matrix does."""
    r, n = root(v_BTT), torch.randn(v_BTT.shape, generator=rng, dtype=v_BTT.dtype)
    return r @ (n + n.mT) @ r.mT / math.sqrt(2)


def attention_noise(v_BTT: Tensor, shares_TT: Tensor, shape: Shape, rng: torch.Generator) -> Tensor:
    """F V + V Fᵀ, with F = C ∘ (G − its mean by C) / τ0 and G^{αν} of covariance V^{αβ} V^{νκ}; heads average."""
    r, n = root(v_BTT), torch.randn(v_BTT.shape, generator=rng, dtype=v_BTT.dtype)
    g = r @ n @ r.mT
    f = shares_TT * (g - (shares_TT * g).sum(-1, keepdim=True)) @ v_BTT
    return (f + f.mT) / (shape.temperature * math.sqrt(shape.heads))


def paths(v_BTT: Tensor, shares_TT: Tensor, shape: Shape, *, layers: int, width: int, rng: torch.Generator) -> Tensor:
    """[layers + 1, B, T, T]: Euler–Maruyama with the step 1 / `width`, an attention and a feed-forward a layer.

    The drift is cubic, so that a path may explode: it stays where it was once a token's size would exceed `LARGEST`.
    """
    found, step, gain = [v_BTT], 1 / width, shape.gain
    # Of each of two projections γ⁴, and of their cross term with the stream 2 λ²γ²; λ² = 1 − γ².
    linear = [gain * math.sqrt(2 * (1 - gain**2) + gain**2 * own) for own in (2.0, 1 + 1 / shape.ratio)]
    for _ in range(layers):
        v = found[-1]
        noise = linear[0] * linear_noise(v, rng) + gain**2 * attention_noise(v, shares_TT, shape, rng)
        drift = gain**2 * attention_drift(v, shares_TT, shape.temperature)
        v = stopped(v, v + step * drift + math.sqrt(step) * noise)
        drift = gain**2 * activation_drift(v, shape.bend) / shape.ratio
        found.append(stopped(v, v + step * drift + math.sqrt(step) * linear[1] * linear_noise(v, rng)))
    return torch.stack(found)


def stopped(before_BTT: Tensor, after_BTT: Tensor) -> Tensor:
    """`after` of the paths that stay within bounds."""
    largest = after_BTT.diagonal(dim1=-2, dim2=-1).amax(-1)
    return torch.where((largest < LARGEST)[:, None, None], after_BTT, before_BTT)


def cosines(v_BTT: Tensor) -> Tensor:
    """[..., B]: the mean over pairs of different tokens."""
    size = v_BTT.diagonal(dim1=-2, dim2=-1).sqrt()
    each = v_BTT / (size[..., :, None] * size[..., None, :])
    count = v_BTT.shape[-1]
    return (each.sum((-2, -1)) - count) / (count * (count - 1))
