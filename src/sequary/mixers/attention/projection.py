"""Queries, keys and values by head: the projections that most attention mixers share."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn


def check_heads(dim: int, heads: int) -> int:
    """The width of one head."""
    if heads < 1 or dim % heads:
        divisors = [h for h in range(1, min(dim, 64) + 1) if dim % h == 0]
        raise ValueError(f"heads={heads} does not divide dim={dim}; use one of {divisors}")
    return dim // heads


def split(x_BTD: Tensor, heads: int) -> Tensor:
    """[B, T, H·K] -> [B, H, T, K]."""
    return rearrange(x_BTD, "b t (h k) -> b h t k", h=heads)


def join(x_BHTK: Tensor) -> Tensor:
    """[B, H, T, K] -> [B, T, H·K]."""
    return rearrange(x_BHTK, "b h t k -> b t (h k)")


class QKV(nn.Module):
    """Three projections stored apart, so that an edit can slice or factorise each."""

    def __init__(self, dim: int, *, width: int, bias: bool, source_dim: int | None = None) -> None:
        super().__init__()
        source = dim if source_dim is None else source_dim
        self.q = nn.Linear(dim, width, bias=bias)
        self.k = nn.Linear(source, width, bias=bias)
        self.v = nn.Linear(source, width, bias=bias)

    def forward(self, x_BTD: Tensor, source_BSD: Tensor | None, heads: int) -> tuple[Tensor, Tensor, Tensor]:
        source = x_BTD if source_BSD is None else source_BSD
        return split(self.q(x_BTD), heads), split(self.k(source), heads), split(self.v(source), heads)
