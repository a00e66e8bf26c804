"""Large-kernel attention (Guo et al., Visual Attention Network, arXiv 2202.09741, section 3.1): a convolution that gates its input."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.grids import grid_of, spread


class _LargeKernel(Mixer):
    """W · dilated(local(x)): depthwise convolutions of 2d − 1 and of ⌈K/d⌉ cells, the second one dilated by d, then a map of channels.

    A field of K + d − 1 cells (for d that divides K) and more, with (2d − 1)² + ⌈K/d⌉² weights a channel instead of K². Cells that
    are masked, like those outside of the grid, count as zeros in each of the two.
    """

    tiny = {"kernel": 9, "dilation": 3}
    dims = (2,)
    packs = False
    cost = 1.0

    def __init__(self, dim: int, *, kernel: int = 21, dilation: int = 3) -> None:
        super().__init__()
        local, far = 2 * dilation - 1, -(-kernel // dilation)
        if far % 2 == 0:
            raise ValueError(f"kernel={kernel}, dilation={dilation}: ⌈kernel / dilation⌉ = {far} must be odd")
        self.local = nn.Conv2d(dim, dim, local, padding=local // 2, groups=dim)
        self.far = nn.Conv2d(dim, dim, far, padding=far // 2 * dilation, dilation=dilation, groups=dim)
        self.mix = nn.Linear(dim, dim)

    def seen(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        """[B, T, D]: what each cell sees of its surroundings."""
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        real = None if ctx.mask is None else spread(ctx.mask[:, None], 2, grid)
        x = spread(x_BTD.transpose(1, 2), 2, grid)
        x = self.local(x if real is None else x * real)
        x = self.far(x if real is None else x * real)
        return self.mix(x.flatten(2).transpose(1, 2))


class LargeKernelAttention(_LargeKernel):
    """y = x ⊙ W dilated(local(x)): the convolutions say how much of each channel passes at each cell."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return x_BTD * self.seen(x_BTD, ctx)


class LargeKernelSum(_LargeKernel):
    """y = x + W dilated(local(x)): the same convolutions without the gate, for studies of it."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return x_BTD + self.seen(x_BTD, ctx)


class VisualAttention(Mixer):
    """y = x + W₂ core(GELU(W₁ x)): the attention module of VAN's blocks, its own residual included."""

    tiny = {"core": part(LargeKernelAttention, kernel=9, dilation=3)}
    dims = (2,)
    packs = False
    cost = 1.0

    def __init__(self, dim: int, *, core: Part[Mixer] = part(LargeKernelAttention), place: Place | None = None) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.core = core.build(Place.here(place, dim))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return x_BTD + self.leave(self.core(F.gelu(self.enter(x_BTD)), ctx))
