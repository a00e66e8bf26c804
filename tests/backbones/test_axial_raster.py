"""The axial image model: a pixel knows exactly the pixels before it."""

from __future__ import annotations

import pytest
import torch

from sequary.backbones.axial_raster import INNER, OUTER, AxialRaster
from sequary.backbones.stack import Stack
from sequary.core.catalogue import load
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch

GRID = (4, 5)
NOTHING = part(Stack, depth=0, blocks=())


def reads(outer: Part[Backbone], inner: Part[Backbone]) -> torch.Tensor:
    """[T, T] bool: has output t a gradient by input s?"""
    torch.manual_seed(0)
    model = part(AxialRaster, grid=GRID, outer=outer, inner=inner).build(Place(8)).double()
    x = torch.randn(1, 20, 8, dtype=torch.float64, requires_grad=True)
    y = model(x, Ctx(grid=GRID))[0].x
    by = torch.randn(8, dtype=torch.float64)
    rows = [torch.autograd.grad((y[0, t] * by).sum(), x, retain_graph=True)[0][0].abs().sum(-1) for t in range(20)]
    return torch.stack(rows) > 0


def test_one_outer_and_one_inner_block_see_every_earlier_pixel_and_no_other() -> None:
    seen = reads(part(Stack, depth=1, blocks=(OUTER,)), part(Stack, depth=1, blocks=(INNER,)))
    assert torch.equal(seen, torch.ones(20, 20, dtype=torch.bool).tril(-1))


def test_another_order_is_refused() -> None:
    model = part(AxialRaster, **AxialRaster.tiny).build(Place(8))
    with pytest.raises(ValueError, match="raster order"):
        model(torch.zeros(1, 16, 8), Ctx(grid=(4, 4), order=torch.arange(16)[None]))


def test_rows_alone_miss_the_rows_above() -> None:
    seen = reads(NOTHING, part(Stack, depth=1, blocks=(INNER,)))
    assert not seen[-1, 0]
    assert seen[-1, -2]


def test_the_recipe_predicts_every_pixel_from_earlier_ones() -> None:
    recipe = load("axial-attention").recipe
    assert recipe is not None
    model = recipe.bind({"vocab": 7, "grid": (4, 6)}).shrunk().build().eval()
    ids = torch.randint(7, (2, 24), generator=torch.Generator().manual_seed(0))
    other = ids.clone()
    other[:, 10] = (other[:, 10] + 1) % 7
    a, b = (model.head(model(Batch(values=v)).hidden) for v in (ids, other))
    assert torch.equal(a[:, :11], b[:, :11])
    assert (a[:, 11:] != b[:, 11:]).any(-1).all()
