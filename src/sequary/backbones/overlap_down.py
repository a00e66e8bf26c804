"""Halving a grid by overlapping patches, to any width (VAN, arXiv 2202.09741, section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.backbones.downsample import Downsample, image
from sequary.blocks.norms import BatchNorm, Norm
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place


class OverlapDown(Downsample):
    """norm of a 3 × 3 convolution with stride 2. `widths`: of a pyramid's stages, rising: the one after dim is next (else 2 · dim)."""

    tiny = {"widths": (16, 24)}

    def __init__(self, dim: int, *, widths: tuple[int, ...] = (), norm: Part[Norm] = part(BatchNorm)) -> None:
        super().__init__()
        if widths and dim not in widths[:-1]:
            raise ValueError(
                f"widths={widths} has no width after dim={dim}; name those of all stages, the first one too"
            )
        self.width = widths[widths.index(dim) + 1] if widths else 2 * dim
        self.reduce = nn.Conv2d(dim, self.width, 3, stride=2, padding=1)
        self.norm = norm.build(Place(self.width))

    def forward(self, x_BTD: Tensor, ctx: Ctx) -> tuple[Tensor, Ctx]:
        x, after = image(x_BTD, ctx, type(self).__name__)
        return self.norm(self.reduce(x).flatten(2).transpose(1, 2), after), after
