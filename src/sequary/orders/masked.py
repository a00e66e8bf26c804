"""Many cells at a time in a random order, few at first, as masked generation decodes (MaskGIT, arXiv 2202.04200; MAR, 2406.11838)."""

from __future__ import annotations

import dataclasses
import itertools
import math

import torch
from torch import Tensor

from sequary.core.values import Group, Plan


@dataclasses.dataclass(frozen=True, slots=True)
class Masked:
    """After iteration k of `iterations` ⌊T cos(π/2 · k / iterations)⌋ cells are left, every iteration decoding at least one.

    The order is a uniformly random permutation; the cells decoded first are its last ones. With more iterations than cells,
    each decodes one and the surplus vanishes.
    """

    iterations: int = 16

    def left(self, cells: int) -> tuple[int, ...]:
        """How many cells are unknown after each iteration; ends with 0."""
        left = [cells]
        for k in range(1, self.iterations):
            wanted = math.floor(cells * math.cos(math.pi / 2 * k / self.iterations))
            left.append(max(1, min(left[-1] - 1, wanted)))
        return (*(b for a, b in itertools.pairwise(left) if b < a), 0)

    def rows(self, rows: int, grid: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """[B, T] permutations of the cells; the first ones are hidden longest."""
        return torch.rand(rows, math.prod(grid), generator=rng, device=rng.device).argsort(1)

    def groups(self, order_BT: Tensor) -> tuple[Tensor, ...]:
        """The cells [B, n] that each iteration decodes, rising in each row."""
        ends = (order_BT.shape[1], *self.left(order_BT.shape[1]))
        return tuple(order_BT[:, b:a].sort(1).values for a, b in itertools.pairwise(ends))

    def plan(self, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Plan:
        return Plan(tuple(Group(cells[0]) for cells in self.groups(self.rows(1, grid, rng))))
