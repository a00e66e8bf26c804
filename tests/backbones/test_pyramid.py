"""The pyramid: its levels, its masks, its images; and the coupling of two streams, which can be undone."""

from __future__ import annotations

import pytest
import torch

from sequary.backbones.downsample import ConvDownsample, Downsample, PatchMerging
from sequary.backbones.pyramid import STAGE, Pyramid
from sequary.backbones.two_streams import PAIR, TwoStreams
from sequary.core.catalogue import load
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("down", [part(PatchMerging), part(ConvDownsample)])
def test_levels_halve_the_grid_and_double_the_width(down: Part[Downsample]) -> None:
    pyramid = part(Pyramid, stages=(STAGE, STAGE, STAGE), down=down).build(Place(8)).double()
    levels = pyramid(normal(2, 35, 8), Ctx(grid=(5, 7)))
    assert [level.grid for level in levels] == [(5, 7), (3, 4), (2, 2)]
    assert [tuple(level.x.shape) for level in levels] == [(2, 35, 8), (2, 12, 16), (2, 4, 32)]
    assert pyramid.width == 32


@pytest.mark.parametrize("down", [part(PatchMerging), part(ConvDownsample)])
def test_masked_cells_reach_no_real_cell_of_any_level(down: Part[Downsample]) -> None:
    pyramid = part(Pyramid, stages=(STAGE, STAGE), down=down).build(Place(8)).double()
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[:, :4, :4] = True
    x, other = normal(1, 36, 8), normal(1, 36, 8, seed=1)
    other = torch.where(mask.view(1, 36, 1), x, other)
    ctx = Ctx(grid=(6, 6), mask=mask.flatten(1))
    a, b = pyramid(x, ctx), pyramid(other, ctx)
    for level_a, level_b, real in zip(a, b, (mask, mask[:, ::2, ::2]), strict=True):
        torch.testing.assert_close(level_a.x[real.flatten(1)], level_b.x[real.flatten(1)], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["swin", "nat-neighborhood"])
def test_recipes_classify_images_of_several_sizes(name: str) -> None:
    recipe = load(name).recipe
    assert recipe is not None
    model = recipe.bind({"channels": 1, "classes": 3}).shrunk().build().eval()
    for side in (16, 21):
        image = torch.randn(2, 1, side, side, generator=torch.Generator().manual_seed(0))
        logits = model.head(model(Batch(values=image)).hidden)
        assert logits.shape == (2, 3)
        assert logits.isfinite().all()


def test_two_streams_can_be_undone() -> None:
    """x comes back from the two streams at the end, layer by layer."""
    net = part(TwoStreams, depth=2, pairs=(PAIR,)).build(Place(8)).double()
    x = normal(2, 5, 8)
    a = b = x
    steps = list(zip(net.norms, net.parts, strict=True))
    for norm, mixer in steps:
        a, b = b, a + mixer(norm(b))
    torch.testing.assert_close(net(x)[-1].x, (a + b) / 2)
    for norm, mixer in reversed(steps):
        a, b = b - mixer(norm(a)), a
    torch.testing.assert_close(a, x)
    torch.testing.assert_close(b, x)
