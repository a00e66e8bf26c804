"""Mixers that cut or sample a grid, made to move with their input (Ding et al., arXiv 2306.07470, section 3)."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.window import WindowAttention
from sequary.mixers.grids import grid_of, spread
from sequary.ops.polyphase import anchor, rolled


class Anchored(Mixer):
    """y = R⁻¹ inner(R x), R the roll that brings the phase of greatest norm to the origin, `stride` the inner one's window or stride.

    Rolling x around the borders rolls y likewise, exactly. Masked cells count as zeros in the norm. Sides are multiples of the stride.
    Ignores `ctx.order`: which phase is strongest is decided by all cells, known or not.
    """

    tiny = {"inner": part(WindowAttention, heads=2, window=2), "stride": 2}
    toy = {"grids": ((4, 4), (4, 6))}
    dims = (2,)
    packs = False

    def __init__(self, dim: int, *, inner: Part[Mixer], stride: int, place: Place | None = None) -> None:
        super().__init__()
        self.inner, self.stride = inner.build(Place.here(place, dim)), stride
        self.rowwise, self.smooth, self.cost = self.inner.rowwise, self.inner.smooth, self.inner.cost
        self.pads = self.inner.pads

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        real = x_BTD if ctx.mask is None else x_BTD * ctx.mask[..., None]
        by_B2 = anchor(spread(real, 1, grid), self.stride)
        names = ("mask", "positions", "segments")
        laid = {
            n: None if (v := getattr(ctx, n)) is None else rolled(spread(v, 1, grid), by_B2).flatten(1) for n in names
        }
        moved = rolled(spread(x_BTD, 1, grid), by_B2).flatten(1, 2)
        y_BTD = self.inner(moved, dataclasses.replace(ctx, order=None, **laid))
        return rolled(spread(y_BTD, 1, grid), -by_B2).flatten(1, 2)
