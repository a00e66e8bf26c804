"""Tokens whose density given two numbers is known: two modes, or a circle."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from sequary.core.values import Batch
from sequary.train.seeds import generator

CPU = torch.device("cpu")
NOISE = 0.05


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Tokens given u; `waves` [2, 3 · channels] and `shifts` make c, a and b."""

    shape: str
    waves: Tensor
    shifts: Tensor

    def draw(self, u_N2: Tensor, rng: torch.Generator) -> Tensor:
        """[N, channels]."""
        c, a, b = (u_N2 @ self.waves + self.shifts).sin().chunk(3, -1)
        turn = 2 * math.pi * torch.rand(len(u_N2), 1, generator=rng)
        if self.shape == "two modes":
            turn = math.pi * (turn / math.pi).floor()
            b = torch.zeros_like(b)
        return c + a * turn.cos() + b * turn.sin() + NOISE * torch.randn(c.shape, generator=rng)


def target(shape: str, channels: int, seed: int) -> Target:
    rng = generator(CPU, seed, "target", shape)
    return Target(shape, torch.randn(2, 3 * channels, generator=rng), 6 * torch.rand(3 * channels, generator=rng))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Rows:
    values: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, rows: Tensor) -> Batch:
        return Batch(values=self.values[rows], target=self.target[rows])
