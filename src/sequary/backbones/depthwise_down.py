"""Halving a grid by a depthwise convolution (Heo et al., PiT, arXiv 2103.16302, section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.backbones.downsample import Downsample, image
from sequary.core.ctx import Ctx


class DepthwiseDown(Downsample):
    """A 3 × 3 convolution with stride 2 that makes `ratio` features of each: D -> ratio · D."""

    def __init__(self, dim: int, *, ratio: int = 2) -> None:
        super().__init__()
        self.width = ratio * dim
        self.conv = nn.Conv2d(dim, self.width, 3, stride=2, padding=1, groups=dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx) -> tuple[Tensor, Ctx]:
        x, after = image(x_BTD, ctx, type(self).__name__)
        return self.conv(x).flatten(2).transpose(1, 2), after
