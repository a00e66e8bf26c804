"""Patches of a sparse image: cells that hold nothing are zero, and a backbone can tell them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.tokens.patches2d import ImageTokens, as_tokens


class Pillars(ImageTokens):
    """Each patch × patch square through one linear map; squares of nothing but `empty` are zero. Filled up with `empty` at the end."""

    tiny = {"channels": 3, "patch": 2}

    def __init__(self, dim: int, *, channels: int, patch: int = 2, empty: float = -1.0) -> None:
        super().__init__()
        self.patch, self.empty = patch, empty
        self.embed = nn.Conv2d(channels, dim, patch, stride=patch)

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        fill = (0, -image_BCHW.shape[3] % self.patch, 0, -image_BCHW.shape[2] % self.patch)
        image = F.pad(image_BCHW, fill, value=self.empty)
        some = (image != self.empty).any(1, keepdim=True).to(image.dtype)
        x_BTD, grid = as_tokens(self.embed(image))
        return x_BTD * F.max_pool2d(some, self.patch).flatten(2).transpose(1, 2), grid
