"""Images -> tokens on a grid: one way, for models that read images and do not make them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member


class ImageTokens(Member):
    """[B, channels, H, W] -> ([B, T, D], grid), T = product of the grid in row-major order."""

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        raise NotImplementedError


def as_tokens(x_BDHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
    return x_BDHW.flatten(2).transpose(1, 2), (x_BDHW.shape[2], x_BDHW.shape[3])


class Patches(ImageTokens):
    """Each patch × patch square through one linear map, then LayerNorm if `norm` (ViT; Swin, section 3.1).

    `grid`: a learned vector for each cell of a grid of exactly that size is added; None: positions are left to the mixers.
    Images that the patch does not divide are filled up with zeros on the right and below.
    """

    tiny = {"channels": 3, "patch": 2}

    def __init__(
        self,
        dim: int,
        *,
        channels: int,
        patch: int = 4,
        norm: bool = True,
        eps: float = 1e-5,
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.patch, self.grid = patch, grid
        self.embed = nn.Conv2d(channels, dim, patch, stride=patch)
        self.norm = nn.LayerNorm(dim, eps=eps) if norm else nn.Identity()
        self.places = None if grid is None else nn.Parameter(torch.empty(grid[0] * grid[1], dim))
        if self.places is not None:
            nn.init.trunc_normal_(self.places, std=0.02)

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        height, width = image_BCHW.shape[2:]
        image = nn.functional.pad(image_BCHW, (0, -width % self.patch, 0, -height % self.patch))
        x_BTD, grid = as_tokens(self.embed(image))
        x_BTD = self.norm(x_BTD)
        if self.places is None:
            return x_BTD, grid
        if grid != self.grid:
            raise ValueError(f"the image has {grid} patches, but positions are learned for {self.grid}; resize it")
        return x_BTD + self.places, grid


class ConvStem(ImageTokens):
    """Two 3 × 3 convolutions with stride 2, then LayerNorm: overlapping patches of a quarter of the side (NAT, section 3.3)."""

    tiny = {"channels": 3}

    def __init__(self, dim: int, *, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, dim // 2, 3, stride=2, padding=1)
        self.second = nn.Conv2d(dim // 2, dim, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(dim)

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        x_BTD, grid = as_tokens(self.second(self.first(image_BCHW)))
        return self.norm(x_BTD), grid
