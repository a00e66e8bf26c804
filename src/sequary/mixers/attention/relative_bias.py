"""A learned bias for each head and each offset between a query and a key of a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RelativeBias(nn.Module):
    """`table` [H, 2k−1, …, 2k−1], one axis of it for each of the grid; offset (key − query) + k − 1 on each (Swin, eq. 4)."""

    def __init__(self, heads: int, window: int, axes: int) -> None:
        super().__init__()
        self.window = window
        self.table = nn.Parameter(torch.empty(heads, *(2 * window - 1,) * axes))
        nn.init.trunc_normal_(self.table, std=0.02)

    def index(self, offset: Tensor) -> Tensor:
        """Where an offset of one axis stands in the table; offsets outside of it only occur at keys that are masked."""
        return (offset + self.window - 1).clamp(0, 2 * self.window - 2)

    def forward(self, index: Tensor) -> Tensor:
        """[H, …] for flat indices […] into the axes of the table."""
        return self.table.flatten(1)[:, index]
