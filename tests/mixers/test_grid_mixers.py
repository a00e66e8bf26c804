"""Large kernels, orders of a grid, slices and anchors, each against its definition."""

from __future__ import annotations

import itertools

import pytest
import torch

from sequary.blocks.recursive import SlicedRecursion
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.mixers.anchored import Anchored
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.sliced import SlicedAttention
from sequary.mixers.attention.subsampled import SubsampledAttention
from sequary.mixers.attention.window import WindowAttention
from sequary.mixers.conv.circular import CircularConv
from sequary.mixers.conv.large_kernel import LargeKernelAttention, LargeKernelSum
from sequary.mixers.ssm.mamba import Mamba
from sequary.mixers.unravelled import Unravelled
from sequary.ops.forms import form
from sequary.ops.polyphase import anchor


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reached(mixer: torch.nn.Module, grid: tuple[int, int], dim: int, cell: int) -> torch.Tensor:
    """[T]: the input cells that one output cell reads."""
    x = normal(1, grid[0] * grid[1], dim).requires_grad_()
    y = mixer(x, Ctx(grid=grid))[0, cell]
    return torch.autograd.grad((y * normal(dim, seed=1)).sum(), x)[0][0].abs().amax(-1) > 0


def test_a_large_kernel_is_the_convolution_of_its_two() -> None:
    """In the interior: one kernel of 2d − 1 + (⌈K/d⌉ − 1) d cells, whose weights are the products; and what is gated is multiplied."""
    mixer = LargeKernelAttention(2, kernel=9, dilation=3).double()
    local, far = mixer.local.weight, mixer.far.weight
    assert mixer.local.bias is not None
    assert mixer.far.bias is not None
    whole = torch.zeros(2, 11, 11, dtype=torch.float64)
    for a, b in itertools.product(range(3), range(3)):
        whole[:, 3 * a : 3 * a + 5, 3 * b : 3 * b + 5] += far[:, 0, a, b, None, None] * local[:, 0]
    side, reach = 15, 5
    x = normal(1, side * side, 2)
    image = x[0].mT.view(2, side, side)
    bias = far.sum((1, 2, 3)) * mixer.local.bias + mixer.far.bias
    seen = (image[:, 2:13, 2:13] * whole).sum((1, 2)) + bias
    middle = side * (2 + reach) + 2 + reach
    gate = mixer.mix(seen)
    torch.testing.assert_close(mixer(x, Ctx(grid=(side, side)))[0, middle], x[0, middle] * gate, rtol=0, atol=1e-12)
    added = LargeKernelSum(2, kernel=9, dilation=3).double()
    added.load_state_dict(mixer.state_dict())
    torch.testing.assert_close(added(x, Ctx(grid=(side, side)))[0, middle], x[0, middle] + gate, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="must be odd"):
        LargeKernelAttention(2, kernel=6, dilation=3)


@pytest.mark.parametrize(
    ("axes", "reverse", "seen"),
    [((0, 1), False, range(8)), ((0, 1), True, range(7, 12)), ((1, 0), False, (0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7))],
)
def test_an_order_reads_what_comes_before(axes: tuple[int, int], reverse: bool, seen: range) -> None:
    mixer = Unravelled(8, inner=part(Mamba, states=4), axes=axes, reverse=reverse).double()
    assert reached(mixer, (3, 4), 8, 7).nonzero().flatten().tolist() == sorted(seen)
    assert mixer.causal == (axes == (0, 1) and not reverse)


def test_slices_are_what_they_say() -> None:
    mixer, x = SlicedAttention(8, heads=2, slices=3).double(), normal(1, 7, 8)
    full = Attention(8, heads=2).double()
    full.load_state_dict(mixer.state_dict())
    runs, strides = [[0, 1, 2], [3, 4, 5], [6]], [[0, 3, 6], [1, 4], [2, 5]]
    for strided, slices in ((False, runs), (True, strides)):
        y = mixer.sliced(x, Ctx(), 3, strided=strided)
        for tokens in slices:
            torch.testing.assert_close(y[:, tokens], full(x[:, tokens]), rtol=0, atol=1e-12)
        with form("reference"):
            torch.testing.assert_close(mixer.sliced(x, Ctx(), 3, strided=strided), y, rtol=0, atol=1e-12)


def test_a_recursion_shares_its_weights_and_lets_all_tokens_meet() -> None:
    one, two = (SlicedRecursion(8, heads=2, slices=s, between=1.0).double() for s in ((3,), (3, 3)))
    counts = [sum(p.numel() for p in m.block.parameters()) for m in (one, two)]
    assert counts[0] == counts[1]
    assert reached(one, (3, 3), 8, 0).sum() == 3
    assert reached(two, (3, 3), 8, 0).all()


@pytest.mark.parametrize(
    "inner", [part(WindowAttention, heads=2, window=2), part(SubsampledAttention, heads=2, stride=2)]
)
def test_anchored_mixers_move_with_their_input(inner: object) -> None:
    grid, x = (4, 6), normal(2, 24, 8)
    mixer = Anchored(8, inner=inner, stride=2).double()  # type: ignore[arg-type]
    bare = mixer.inner
    for by in ((1, 0), (0, 1), (3, 5)):
        moved = x.view(2, *grid, 8).roll(by, (1, 2)).flatten(1, 2)
        there = mixer(x, Ctx(grid=grid)).view(2, *grid, 8).roll(by, (1, 2)).flatten(1, 2)
        torch.testing.assert_close(mixer(moved, Ctx(grid=grid)), there, rtol=0, atol=1e-12)
    assert (
        bare(moved, Ctx(grid=grid)) - bare(x, Ctx(grid=grid)).view(2, *grid, 8).roll(by, (1, 2)).flatten(1, 2)
    ).abs().max() > 1e-3


def test_the_anchor_is_the_strongest_phase() -> None:
    x = torch.zeros(1, 4, 6, 1, dtype=torch.float64)
    x[0, 1, 2] = 2.0
    x[0, 0, 1] = x[0, 2, 3] = 1.4  # weaker than the other phase, though two
    assert anchor(x, 2).tolist() == [[1, 0]]
    with pytest.raises(ValueError, match="no whole phases"):
        anchor(x, 4)


def test_a_circular_convolution_has_no_border() -> None:
    conv, x = CircularConv(3).double(), normal(1, 12, 3)
    y, moved = conv(x, Ctx(grid=(3, 4))), conv(x.roll(4, 1), Ctx(grid=(3, 4)))
    torch.testing.assert_close(moved, y.roll(4, 1), rtol=0, atol=1e-12)
