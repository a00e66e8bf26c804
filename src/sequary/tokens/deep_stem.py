"""Three strided convolutions before the tokens, and a learned vector for each cell (SReT, arXiv 2111.05297)."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.tokens.patches2d import ImageTokens, as_tokens


class DeepStem(ImageTokens):
    """ReLU(BatchNorm(conv)) for each of three 3 × 3 convolutions with stride 2: an eighth of the side. D/2 features after the first.

    `grid`: a learned vector for each cell of a grid of exactly that size is added; None: positions are left to the mixers.
    """

    tiny = {"channels": 3}

    def __init__(self, dim: int, *, channels: int, grid: tuple[int, int] | None = None) -> None:
        super().__init__()
        widths = (channels, dim // 2, dim, dim)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in widths[1:])
        self.grid = grid
        self.places = None if grid is None else nn.Parameter(0.02 * torch.randn(grid[0] * grid[1], dim))

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        x_BDHW = image_BCHW
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x_BDHW = F.relu(norm(conv(x_BDHW)))
        x_BTD, grid = as_tokens(x_BDHW)
        if self.places is None:
            return x_BTD, grid
        if grid != self.grid:
            raise ValueError(f"the image has {grid} cells, but positions are learned for {self.grid}; resize it")
        return x_BTD + self.places, grid
