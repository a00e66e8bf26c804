"""Neighbourhood attention: its windows, its two forms, its limits."""

from __future__ import annotations

import itertools

import pytest
import torch

from sequary.core.ctx import Ctx
from sequary.mixers.attention.neighbourhood import NeighbourhoodAttention
from sequary.ops.attend import attend
from sequary.ops.forms import form
from sequary.ops.neighbourhood import attend_at, combined, every, window

GRID = (6, 7)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def nearest(length: int, kernel: int, dilation: int, cell: int) -> set[int]:
    """By the definition: of all runs of `kernel` cells of the class, the one whose middle is nearest to the cell."""
    line = list(range(cell % dilation, length, dilation))
    runs = [line[i : i + kernel] for i in range(max(1, len(line) - kernel + 1))]
    return set(min(runs, key=lambda run: abs(run[len(run) // 2] - cell)))


@pytest.mark.parametrize(
    ("length", "kernel", "dilation"), [(9, 3, 1), (9, 5, 1), (11, 3, 2), (11, 3, 3), (4, 7, 1), (5, 3, 2)]
)
def test_windows_are_the_nearest_cells(length: int, kernel: int, dilation: int) -> None:
    keys, real = window(length, kernel=kernel, dilation=dilation)
    for cell in range(length):
        assert set(keys[cell][real[cell]].tolist()) == nearest(length, kernel, dilation, cell)


def test_gather_equals_the_loop_in_value_and_gradient() -> None:
    axes = [window(n, kernel=3, dilation=d, causal=c) for n, d, c in ((6, 1, False), (7, 2, True))]
    keys, sees = combined([k for k, _ in axes], list(GRID)), every([r for _, r in axes])[None]
    q, k, v = (normal(2, 2, 42, 4, seed=s).requires_grad_() for s in range(3))
    bias = normal(2, *keys.shape, seed=4)
    found = []
    for name in ("reference", "gather"):
        with form(name):
            y = attend_at(q, k, v, keys, sees_BTN=sees, bias_HTN=bias)
        found.append((y, *torch.autograd.grad((y * y.cos().detach()).sum(), (q, k, v))))
    for slow, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)


def test_a_kernel_as_wide_as_the_side_is_full_attention() -> None:
    mixer = NeighbourhoodAttention(8, heads=2, kernel=5, relative=False).double()
    x = normal(2, 25, 8)
    q, k, v = mixer.qkv(x, None, 2)
    full = mixer.o(attend(q, k, v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixer(x, Ctx(grid=(5, 5))), full, rtol=0, atol=1e-12)
    assert (NeighbourhoodAttention(8, heads=2, kernel=3)(x.float(), Ctx(grid=(5, 5))) - full).abs().max() > 1e-3


def test_the_interior_moves_with_the_input_and_the_border_does_not() -> None:
    mixer, side, reach = NeighbourhoodAttention(8, heads=2, kernel=3).double(), 9, 1
    assert mixer.relative is not None
    with torch.no_grad():
        mixer.relative.table.normal_()
    image = normal(1, side + 1, side, 8)
    first, second = (
        mixer(x.flatten(1, 2), Ctx(grid=(side, side))).view(1, side, side, 8) for x in (image[:, :-1], image[:, 1:])
    )
    inside = slice(reach, side - reach - 1)
    torch.testing.assert_close(
        first[:, reach + 1 : side - reach, reach:-reach], second[:, inside, reach:-reach], rtol=0, atol=1e-12
    )
    assert (first[:, 1] - second[:, 0]).abs().max() > 1e-3


def test_the_bias_is_by_offset_at_borders_too() -> None:
    mixer = NeighbourhoodAttention(4, heads=1, kernel=3, axes=1).double()
    assert mixer.relative is not None
    with torch.no_grad():
        mixer.relative.table.copy_(torch.arange(5.0))
    keys, _ = window(6, kernel=3)
    bias = mixer._bias([keys])
    assert bias is not None
    for t, n in itertools.product(range(6), range(3)):
        assert bias[0, t, n] == keys[t, n] - t + 2


@pytest.mark.parametrize(
    ("grid", "message"), [(None, "needs ctx.grid of 2 axes"), ((3, 4), "12 cells, but there are 10")]
)
def test_a_wrong_grid_is_refused(grid: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeighbourhoodAttention(8, heads=2)(torch.zeros(1, 10, 8), Ctx(grid=grid))


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel=4"):
        NeighbourhoodAttention(8, kernel=4)
