"""One cell at a time, in an order that is random early in training and raster at its end (RAR, arXiv 2411.00776)."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from sequary.core.values import Group, Plan


@dataclasses.dataclass(frozen=True, slots=True)
class Permuted:
    """With probability r a uniformly random order, else raster: r = 1 before `start`, 0 after `stop` of training, linear between.

    Decoding (progress 1) is raster wherever `stop` <= 1. `start` = `stop` = 0 is raster from the first step.
    """

    start: float = 0.5
    stop: float = 0.75

    def chance(self, progress: float) -> float:
        """r."""
        if progress >= self.stop:
            return 0.0
        return 1.0 if progress <= self.start else (self.stop - progress) / (self.stop - self.start)

    def rows(self, rows: int, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Tensor:
        """[B, T]: the cells of each row in the order of decoding."""
        cells = math.prod(grid)
        keys = torch.rand(rows, cells, generator=rng, device=rng.device)
        mixes = torch.rand(rows, 1, generator=rng, device=rng.device) < self.chance(progress)
        raster = torch.arange(cells, device=rng.device).expand(rows, -1)
        return torch.where(mixes, keys.argsort(1), raster)

    def plan(self, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Plan:
        return Plan(tuple(Group(cell) for cell in self.rows(1, grid, rng, progress)[0].split(1)))
