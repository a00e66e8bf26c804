"""Overlapping patches of an image: a convolution whose kernel is wider than its stride (PVTv2, Wang et al., arXiv 2106.13797)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.norms import BatchNorm, Norm
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.tokens.patches2d import ImageTokens, as_tokens


class OverlapPatches(ImageTokens):
    """norm(conv(x)), kernel `patch`, filled up with patch // 2 zeros at each border, and `stride` cells apart (VAN, section 3.2)."""

    tiny = {"channels": 3, "patch": 3, "stride": 2}

    def __init__(
        self,
        dim: int,
        *,
        channels: int,
        patch: int = 7,
        stride: int = 4,
        norm: Part[Norm] = part(BatchNorm),
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, dim, patch, stride=stride, padding=patch // 2)
        self.norm = norm.build(Place(dim))

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        x_BTD, grid = as_tokens(self.embed(image_BCHW))
        return self.norm(x_BTD), grid
