"""Queries, keys and values by head: the projections that most attention mixers share."""

from __future__ import annotations

from torch import Tensor, nn

Ranks = tuple[int | None, int | None, int | None, int | None]
"""Of the projections q, k, v, o; None = full. What an edit that factorises leaves behind."""
FULL: Ranks = (None, None, None, None)


def check_heads(dim: int, heads: int) -> int:
    """The width of one head."""
    if heads < 1 or dim % heads:
        divisors = [h for h in range(1, min(dim, 64) + 1) if dim % h == 0]
        raise ValueError(f"heads={heads} does not divide dim={dim}; use one of {divisors}")
    return dim // heads


def split(x_BTD: Tensor, heads: int) -> Tensor:
    """[B, T, H·K] -> [B, H, T, K]. Without einops, whose call costs as much as the product of one decoded token."""
    return x_BTD.reshape(*x_BTD.shape[:-1], heads, -1).transpose(1, 2)


def join(x_BHTK: Tensor) -> Tensor:
    """[B, H, T, K] -> [B, T, H·K]."""
    return x_BHTK.transpose(1, 2).flatten(2)


class LowRank(nn.Module):
    """y = L (R x) + b: a linear map of rank `rank`."""

    def __init__(self, inputs: int, outputs: int, *, rank: int, bias: bool) -> None:
        super().__init__()
        self.right = nn.Linear(inputs, rank, bias=False)
        self.left = nn.Linear(rank, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.left(self.right(x))


def linear(inputs: int, outputs: int, *, rank: int | None, bias: bool) -> nn.Module:
    """A linear map, in full or factorised."""
    return nn.Linear(inputs, outputs, bias=bias) if rank is None else LowRank(inputs, outputs, rank=rank, bias=bias)


class QKV(nn.Module):
    """Three projections stored apart, so that an edit can slice or factorise each."""

    def __init__(self, dim: int, *, width: int, bias: bool, source_dim: int | None = None, ranks: Ranks = FULL) -> None:
        super().__init__()
        source = dim if source_dim is None else source_dim
        self.q = linear(dim, width, rank=ranks[0], bias=bias)
        self.k = linear(source, width, rank=ranks[1], bias=bias)
        self.v = linear(source, width, rank=ranks[2], bias=bias)

    def forward(self, x_BTD: Tensor, source_BSD: Tensor | None, heads: int) -> tuple[Tensor, Tensor, Tensor]:
        source = x_BTD if source_BSD is None else source_BSD
        return split(self.q(x_BTD), heads), split(self.k(source), heads), split(self.v(source), heads)
