"""Learned positions of a grid, one vector for each index of each axis (Ho et al., 2019, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member


class AxialPositions(Member):
    """x[i, j, …] + p_0[i] + p_1[j] + …, for sequences that unfold to exactly `grid`."""

    tiny = {"grid": (3, 4)}

    def __init__(self, dim: int, *, grid: tuple[int, ...]) -> None:
        super().__init__()
        self.grid = grid
        self.axes = nn.ParameterList(nn.init.trunc_normal_(torch.empty(n, dim), std=0.02) for n in grid)

    def forward(self, x_BTD: Tensor, grid: tuple[int, ...]) -> Tensor:
        if grid != self.grid:
            raise ValueError(f"positions are learned for grid={self.grid}, found {grid}; rebuild, or resize the image")
        places = x_BTD.new_zeros(())
        for axis, vectors in enumerate(self.axes):
            places = places + vectors.view(*(n if a == axis else 1 for a, n in enumerate(grid)), -1)
        return x_BTD + places.flatten(0, -2)
