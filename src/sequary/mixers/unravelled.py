"""A mixer of sequences over a grid whose cells are taken in another order (Li et al., Mamba-ND, arXiv 2402.05892, section 3.2)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.grids import grid_of
from sequary.mixers.ssm.mamba import Mamba


class Unravelled(Mixer):
    """y = P⁻¹ inner(P x): P lays the cells out with the axes in the order `axes`, the last one fastest, backwards if `reverse`.

    (0, 1) is row-major, (1, 0) column-major. Layers that take the orders in turn let every cell reach every other while each is one scan.
    """

    tiny = {"inner": part(Mamba, states=4), "axes": (1, 0), "reverse": True}
    dims = (2,)

    def __init__(
        self,
        dim: int,
        *,
        inner: Part[Mixer],
        axes: tuple[int, ...] = (0, 1),
        reverse: bool = False,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        if sorted(axes) != list(range(len(axes))):
            raise ValueError(f"axes={axes} must name each axis of the grid once, such as (1, 0)")
        self.inner = inner.build(Place.here(place, dim))
        self.axes, self.reverse, self.dims = axes, reverse, (len(axes),)
        self.causal = self.inner.causal and not reverse and axes == tuple(sorted(axes))
        self.rowwise, self.smooth, self.cost = self.inner.rowwise, self.inner.smooth, self.inner.cost
        self.pads, self.packs, self.orders = self.inner.pads, self.inner.packs, self.inner.orders

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        there = torch.arange(x_BTD.shape[1], device=x_BTD.device).view(grid).permute(self.axes).flatten()
        there = there.flip(0) if self.reverse else there
        laid = {
            n: None if (v := getattr(ctx, n)) is None else v[:, there]
            for n in ("mask", "order", "positions", "segments")
        }
        along = tuple(grid[a] for a in self.axes)
        return self.inner(x_BTD[:, there], dataclasses.replace(ctx, grid=along, **laid))[:, there.argsort()]
