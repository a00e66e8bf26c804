"""Generalised neighbourhoods: the queries of a stride share the window of their leader (Hassani et al., arXiv 2504.16922)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.ops.groups import crossed
from sequary.ops.neighbourhood import window


@dataclasses.dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Of one axis: `kernel` keys, `dilation` cells apart, the same for the `stride` queries of a group; `causal`: none is later.

    Stride 1 slides, stride = kernel cuts into blocks that do not overlap.
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    causal: bool = False

    def __post_init__(self) -> None:
        if self.dilation < 1 or not 1 <= self.stride <= self.kernel:
            raise ValueError(
                f"kernel={self.kernel}, stride={self.stride}, dilation={self.dilation}: "
                "the stride must lie in 1..kernel, since keys between two windows would be read by no one"
            )


def axis_groups(length: int, near: Neighbourhood, device: torch.device | None) -> tuple[Tensor, Tensor, Tensor]:
    """(queries [G, stride], keys [G, K], sees [G, stride, K]) of one axis. Groups lie in one class of remainders mod dilation."""
    cell = torch.arange(length, device=device)
    keys, real = window(length, **dataclasses.asdict(near), device=device)
    classes, members = min(near.dilation, length), -(-length // near.dilation)
    first = torch.arange(0, members, near.stride, device=device)
    place = first[None, :, None] + torch.arange(near.stride, device=device)
    queries = (cell[:classes, None, None] + place * near.dilation).flatten(0, 1)
    queries = torch.where(queries < length, queries, -1)
    leader = queries[:, 0].clamp(min=0)  # the first query of a group has the keys of all of it
    return queries, keys[leader], real[queries.clamp(min=0)]


def neighbourhood_groups(
    grid: tuple[int, ...], near: tuple[Neighbourhood, ...], device: torch.device | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(queries [G, Q], keys [G, N], sees [G, Q, N]) of a grid: the products of those of its axes."""
    axes = [axis_groups(n, each, device) for n, each in zip(grid, near, strict=True)]
    sees = axes[0][2]
    for _, _, other in axes[1:]:
        both = sees[:, None, :, None, :, None] & other[None, :, None, :, None, :]
        sees = both.flatten(4, 5).flatten(2, 3).flatten(0, 1)
    return crossed([q for q, _, _ in axes], list(grid)), crossed([k for _, k, _ in axes], list(grid)), sees
