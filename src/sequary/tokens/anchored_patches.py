"""Patches that start at the strongest phase of the image (Ding et al., arXiv 2306.07470, section 3.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from sequary.ops.polyphase import anchor, rolled
from sequary.tokens.patches2d import ImageTokens, Patches


class AnchoredPatches(ImageTokens):
    """`Patches` of the image rolled so that the sampling phase of greatest norm comes to the origin: a roll of the image rolls the tokens.

    Sides that the patch does not divide are filled up with zeros first, after which a roll is one of the filled image.
    """

    tiny = {"channels": 3, "patch": 2}

    def __init__(self, dim: int, *, channels: int, patch: int = 4, norm: bool = True) -> None:
        super().__init__()
        self.patches = Patches(dim, channels=channels, patch=patch, norm=norm)

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        patch = self.patches.patch
        filled = F.pad(image_BCHW, (0, -image_BCHW.shape[3] % patch, 0, -image_BCHW.shape[2] % patch))
        x_BHWC = filled.permute(0, 2, 3, 1)
        return self.patches(rolled(x_BHWC, anchor(x_BHWC, patch)).permute(0, 3, 1, 2))
