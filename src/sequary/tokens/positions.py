"""Positions that are added to the tokens of a window: step t of any window is always the same place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member


class Positions(Member):
    """[B, T, D] -> [B, T, D]. Counted over all steps of the window, missing ones too: a step is a time."""

    def forward(self, x_BTD: Tensor) -> Tensor:
        raise NotImplementedError


class NoPositions(Positions):
    """The mixers know where their tokens stand."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x_BTD: Tensor) -> Tensor:
        return x_BTD


class LearnedPositions(Positions):
    """A learned vector for each of `length` steps."""

    tiny = {"length": 8}

    def __init__(self, dim: int, *, length: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(length, dim).uniform_(-0.02, 0.02))

    def forward(self, x_BTD: Tensor) -> Tensor:
        if x_BTD.shape[1] > len(self.table):
            raise ValueError(f"{x_BTD.shape[1]} tokens exceed length={len(self.table)} learned positions")
        return x_BTD + self.table[: x_BTD.shape[1]]


class SinePositions(Positions):
    """p[t, 2i] = sin(t / 10000^(2i/D)), p[t, 2i + 1] = cos(the same) (Vaswani et al., 2017, section 3.5)."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x_BTD: Tensor) -> Tensor:
        length, dim = x_BTD.shape[1:]
        # In float64: a bfloat16 angle is wrong by radians at position 300.
        time = torch.arange(length, dtype=torch.float64, device=x_BTD.device)[:, None]
        even = torch.arange(0, dim, 2, dtype=torch.float64, device=x_BTD.device)
        angle = time * torch.exp(even * (-math.log(10_000.0) / dim))
        table = torch.stack((angle.sin(), angle.cos()), -1).flatten(1)[:, :dim]
        return x_BTD + table.to(x_BTD.dtype)
