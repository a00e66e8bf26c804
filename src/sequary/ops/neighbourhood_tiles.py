"""How many tiles a kernel that works tile by tile must visit for a neighbourhood: the simulator of generalised neighbourhood attention.

Hassani et al., arXiv 2504.16922: queries and keys are cut into tiles on every axis (dilated ones after sorting by remainder), and a pair
of tiles must be computed in full as soon as one of its queries reads one of its keys.
"""

from __future__ import annotations

import math

import torch

from sequary.ops.neighbourhood import window
from sequary.ops.neighbourhood_groups import Neighbourhood


def axis_visits(length: int, near: Neighbourhood, tiles: tuple[int, int]) -> int:
    """Pairs of (query tile, key tile) of one axis, `tiles` cells long each, summed over the classes of remainders mod dilation."""
    total = 0
    for rest in range(min(near.dilation, length)):
        size = len(range(rest, length, near.dilation))
        keys, real = window(size, kernel=near.kernel, stride=near.stride, causal=near.causal)
        query = torch.arange(size)[:, None].expand_as(keys)[real] // tiles[0]
        met = torch.zeros(-(-size // tiles[0]), -(-size // tiles[1]), dtype=torch.bool)
        met[query, keys[real] // tiles[1]] = True
        total += int(met.sum())
    return total


def visits(grid: tuple[int, ...], near: tuple[Neighbourhood, ...], tiles: tuple[tuple[int, int], ...]) -> int:
    """Pairs of tiles of a grid: a neighbourhood is a product of axes, and so is what its tiles meet.

    `tiles`: cells of a query tile and of a key tile along each axis.
    """
    return math.prod(axis_visits(n, a, t) for n, a, t in zip(grid, near, tiles, strict=True))


def all_pairs(grid: tuple[int, ...], tiles: tuple[tuple[int, int], ...]) -> int:
    """What attention from every cell to every cell would visit."""
    return math.prod(-(-n // q) * -(-n // k) for n, (q, k) in zip(grid, tiles, strict=True))
