"""Coarse to fine: all cells of one scale become known together, scale by scale (VAR, arXiv 2404.02905)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from sequary.core.values import Group, Plan


@dataclasses.dataclass(frozen=True, slots=True)
class Scales:
    """Group k holds the n_k × n_k cells of side `sides[k]`; the sequence is the maps one after another, each row by row."""

    toy: ClassVar[Mapping[str, Any]] = {"grids": ((7, 7),)}
    sides: tuple[int, ...] = (1, 2, 3, 5, 7)

    @property
    def length(self) -> int:
        return sum(n * n for n in self.sides)

    def plan(self, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Plan:
        """`grid` is that of the finest scale. Nothing is drawn."""
        if grid != (self.sides[-1], self.sides[-1]):
            raise ValueError(f"grid={grid} is not the finest of sides={self.sides}; use {(self.sides[-1],) * 2}")
        return self.groups()

    def groups(self) -> Plan:
        made: list[Group] = []
        start = 0
        for n in self.sides:
            made.append(Group(torch.arange(start, start + n * n), (n, n)))
            start += n * n
        return Plan(tuple(made))
