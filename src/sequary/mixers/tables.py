"""Mixing a table, given row by row as a sequence of cells, between its rows and inside them.

Kossen et al., Self-Attention Between Datapoints (arXiv 2106.02584): attention between datapoints, and between attributes.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.full import Attention


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where the cells of a sequence stand in a table, [B, T] each: `row` of `rows`, `column` of `columns`, and which are `real`.

    Each segment is a table of its own, begun on a new row; its last row may be incomplete. Padding stands in the last row, which no
    cell has.
    """

    row: Tensor
    column: Tensor
    real: Tensor
    rows: int
    columns: int

    @staticmethod
    def of(x_BTD: Tensor, ctx: Ctx, columns: int) -> Layout:
        batch, length = x_BTD.shape[:2]
        place = dataclasses.replace(ctx, positions=None).position_ids(batch, length, x_BTD.device)
        real = torch.ones_like(place, dtype=torch.bool) if ctx.mask is None else ctx.mask
        column = place % columns
        if ctx.segments is None:
            # ⌈length / columns⌉ + 1 in one division: torch.export cannot divide by a sum.
            row, rows = place // columns, (length + 2 * columns - 1) // columns
        else:
            row, rows = ((column == 0) & real).long().cumsum(1) - 1, length + 1
        return Layout(torch.where(real, row, rows - 1), torch.where(real, column, 0), real, rows, columns)

    def laid(self, x: Tensor) -> Tensor:
        """[B, rows, columns, …] of [B, T, …]: zeros where there is no cell."""
        kept = x.masked_fill(~(self.real if x.dim() == 2 else self.real[..., None]), 0)
        cells = x.new_zeros(x.shape[0], self.rows, self.columns, *x.shape[2:])
        return cells.index_put((self._batch(), self.row, self.column), kept)

    def cells(self) -> Tensor:
        """[B, rows, columns]: is there a cell?"""
        return self.laid(self.real.long()).bool()

    def taken(self, cells_BRCD: Tensor) -> Tensor:
        """[B, T, D]: what stands where the cells came from."""
        return cells_BRCD[self._batch(), self.row, self.column]

    def _batch(self) -> Tensor:
        return torch.arange(self.row.shape[0], device=self.row.device)[:, None]


class BetweenRows(Mixer):
    """`inner` over the rows of the table, each flattened to one token of `columns` · D features (attention between datapoints).

    Cells of one table may stand in any order of rows: what comes out is permuted alike. Missing cells count as zeros.
    """

    tiny = {"inner": part(Attention, heads=2), "columns": 3}

    def __init__(self, dim: int, *, inner: Part[Mixer], columns: int, place: Place | None = None) -> None:
        super().__init__()
        self.columns = columns
        self.inner = inner.build(Place.here(place, dim).at(dim=columns * dim))
        self.rowwise, self.smooth, self.cost = self.inner.rowwise, self.inner.smooth, self.inner.cost
        self.pads, self.packs = self.inner.pads, self.inner.packs

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        layout = Layout.of(x_BTD, ctx, self.columns)
        laid = layout.laid(x_BTD)
        tables = None if ctx.segments is None else layout.laid(ctx.segments).amax(2)
        inside = dataclasses.replace(ctx, mask=layout.cells().any(2), segments=tables, positions=None, order=None)
        return layout.taken(self.inner(laid.flatten(2), inside).reshape(laid.shape))


class InsideRows(Mixer):
    """`inner` over the cells of each row by themselves (attention between attributes): linear in the number of rows."""

    tiny = {"inner": part(Attention, heads=2), "columns": 3}
    cost = 1.0

    def __init__(self, dim: int, *, inner: Part[Mixer], columns: int, place: Place | None = None) -> None:
        super().__init__()
        self.columns = columns
        self.inner = inner.build(Place.here(place, dim))
        self.rowwise, self.smooth = self.inner.rowwise, self.inner.smooth
        self.pads = self.packs = self.inner.pads

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        layout = Layout.of(x_BTD, ctx, self.columns)
        laid, real = layout.laid(x_BTD), layout.cells().flatten(0, 1)
        inside = dataclasses.replace(ctx, mask=real, segments=None, positions=None, order=None)
        return layout.taken(self.inner(laid.flatten(0, 1), inside).reshape(laid.shape))
