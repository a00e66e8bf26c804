"""What a token of a delta rule takes back, writes and keeps: the differences between DeltaNet and its successors.

From x [B, t, D], unit keys k [B, t, H, K] and values v [B, t, H, V]: e [B, t, H, K], read to be taken back; what is written
[B, t, H, V]; and log g [B, t, H, 1 or K] <= 0, or None. Strengths are σ(W x) times `most`; with `most` = 2 a token may turn what it
finds around (eigenvalues to −1; Grazzi et al., arXiv 2411.12537).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class DeltaGates(nn.Module):
    """`dim` is that of x; H = `heads`, K = `key`, V = `value`."""

    def __init__(self, dim: int, *, heads: int = 4, key: int = 32, value: int = 32, most: float = 1.0) -> None:
        super().__init__()
        self.heads, self.most = heads, most

    def forward(self, x_BtD: Tensor, k_BtHK: Tensor, v_BtHV: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        raise NotImplementedError


class Strength(DeltaGates):
    """β_t, one a head, for both: e = β k, written β v; nothing is forgotten (DeltaNet; Yang et al., arXiv 2406.06484)."""

    def __init__(self, dim: int, *, heads: int = 4, key: int = 32, value: int = 32, most: float = 1.0) -> None:
        super().__init__(dim, heads=heads, key=key, value=value, most=most)
        self.beta = nn.Linear(dim, heads, bias=False)

    def forward(self, x_BtD: Tensor, k_BtHK: Tensor, v_BtHV: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        beta = self.most * self.beta(x_BtD).sigmoid()[..., None]
        return beta * k_BtHK, beta * v_BtHV, None


class HeadGates(DeltaGates):
    """β_t and a decay of its own, one a head: g = −exp(a) softplus(W_g x + b) (Gated DeltaNet; Yang et al., arXiv 2412.06464)."""

    def __init__(self, dim: int, *, heads: int = 4, key: int = 32, value: int = 32, most: float = 1.0) -> None:
        super().__init__(dim, heads=heads, key=key, value=value, most=most)
        self.beta, self.rate = nn.Linear(dim, heads, bias=False), nn.Linear(dim, heads, bias=False)
        self.log_rate, self.step = nn.Parameter(log_rates(heads)), nn.Parameter(steps(heads))

    def forward(self, x_BtD: Tensor, k_BtHK: Tensor, v_BtHV: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        beta = self.most * self.beta(x_BtD).sigmoid()[..., None]
        g = -self.log_rate.exp() * F.softplus(self.rate(x_BtD) + self.step)
        return beta * k_BtHK, beta * v_BtHV, g[..., None]


class KeyDecay(DeltaGates):
    """g = −exp(a_h) softplus(W₂ W₁ x + b), a rate for each key entry, through a bottleneck of V; the rest is left to subclasses."""

    def __init__(self, dim: int, *, heads: int = 4, key: int = 32, value: int = 32, most: float = 1.0) -> None:
        super().__init__(dim, heads=heads, key=key, value=value, most=most)
        self.rate = nn.Sequential(nn.Linear(dim, value, bias=False), nn.Linear(value, heads * key, bias=False))
        self.log_rate, self.step = nn.Parameter(log_rates(heads)), nn.Parameter(steps(heads * key))

    def decay(self, x_BtD: Tensor) -> Tensor:
        rates = heads_of(F.softplus(self.rate(x_BtD) + self.step), self.heads)
        return -self.log_rate.exp()[:, None] * rates


class KeyDecayed(KeyDecay):
    """β_t as in DeltaNet beside it (Kimi delta attention)."""

    def __init__(self, dim: int, *, heads: int = 4, key: int = 32, value: int = 32, most: float = 1.0) -> None:
        super().__init__(dim, heads=heads, key=key, value=value, most=most)
        self.beta = nn.Linear(dim, heads, bias=False)

    def forward(self, x_BtD: Tensor, k_BtHK: Tensor, v_BtHV: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        beta = self.most * self.beta(x_BtD).sigmoid()[..., None]
        return beta * k_BtHK, beta * v_BtHV, self.decay(x_BtD)


class EraseWrite(KeyDecay):
    """e = b ⊙ k, b = σ(W_b x) · most, a gate for each key entry; written w ⊙ v, w = σ(W_w x), one for each value (Gated DeltaNet-2)."""

    def __init__(self, dim: int, *, heads: int = 4, key: int = 32, value: int = 32, most: float = 1.0) -> None:
        super().__init__(dim, heads=heads, key=key, value=value, most=most)
        self.erase, self.write = nn.Linear(dim, heads * key, bias=False), nn.Linear(dim, heads * value, bias=False)

    def forward(self, x_BtD: Tensor, k_BtHK: Tensor, v_BtHV: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        erase, write = (heads_of(gate(x_BtD).sigmoid(), self.heads) for gate in (self.erase, self.write))
        return self.most * erase * k_BtHK, write * v_BtHV, self.decay(x_BtD)


def heads_of(x_BtD: Tensor, heads: int) -> Tensor:
    return rearrange(x_BtD, "B t (H K) -> B t H K", H=heads)


def log_rates(count: int) -> Tensor:
    """log of rates drawn from [1, 16]."""
    return torch.empty(count).uniform_(1, 16).log()


def steps(count: int) -> Tensor:
    """The inverse of softplus at steps drawn log-uniformly from [0.001, 0.1], as in Mamba."""
    dt = torch.empty(count).uniform_(math.log(0.001), math.log(0.1)).exp()
    return dt + torch.log(-torch.expm1(-dt))
