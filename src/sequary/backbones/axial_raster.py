"""The autoregressive Axial Transformer: raster order, most of the context computed for all pixels at once.

Ho et al., arXiv 1912.12180, section 3.2. An outer stack (unmasked rows, masked columns), shifted down by one row, sums up all
earlier rows; an inner stack (masked rows) over the input shifted right by one cell adds the earlier cells of the row.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Level, Levels
from sequary.mixers.attention.axial import AxialAttention, MaskedAxialAttention
from sequary.mixers.grids import grid_of
from sequary.mixers.mlp.dense import MLP
from sequary.tokens.axial_positions import AxialPositions

OUTER = part(
    PreNorm,
    parts=(part(AxialAttention, heads=2), part(MLP), part(MaskedAxialAttention, heads=2, axis=-2), part(MLP)),
    norm=part(LayerNorm),
)
INNER = part(PreNorm, parts=(part(MaskedAxialAttention, heads=2), part(MLP)), norm=part(LayerNorm))


class AxialRaster(Backbone):
    """h = inner(down(outer(x + p)) + right(x) + p'); the output at a cell depends on every cell before it in raster order, and on
    neither itself nor later ones. `grid`: the (height, width) for which positions p, p' are learned, one vector a row and one a
    column. `norm` at the end.
    """

    tiny = {
        "grid": (4, 4),
        "outer": part(Stack, depth=1, blocks=(OUTER,)),
        "inner": part(Stack, depth=1, blocks=(INNER,)),
    }
    toy = {"grids": ((4, 4),)}
    dims = (2,)
    causal = True

    def __init__(
        self,
        dim: int,
        *,
        grid: tuple[int, int],
        outer: Part[Backbone],
        inner: Part[Backbone],
        norm: Part[Norm] = part(LayerNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.grid = grid
        self.outer_places, self.inner_places = AxialPositions(dim, grid=grid), AxialPositions(dim, grid=grid)
        self.outer, self.inner, self.norm = outer.build(here), inner.build(here), norm.build(here)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        if ctx.order is not None:
            raise ValueError("AxialRaster predicts in raster order and can honour no other; leave ctx.order out")
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        u_BTD = self.outer(self.outer_places(x_BTD, grid), ctx)[-1].x
        above = F.pad(u_BTD.unflatten(1, grid)[:, :-1], (0, 0, 0, 0, 1, 0))
        left = F.pad(x_BTD.unflatten(1, grid)[:, :, :-1], (0, 0, 1, 0))
        h_BTD = self.inner_places((above + left).flatten(1, 2), grid)
        return (Level(self.norm(self.inner(h_BTD, ctx)[-1].x, ctx), ctx.grid),)
