"""Window attention: what crosses a border, and grids that the window does not divide."""

from __future__ import annotations

import pytest
import torch

from sequary.core.ctx import Ctx
from sequary.mixers.attention.window import WindowAttention, cut, paste, regions


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reads(mixer: WindowAttention, grid: tuple[int, int], cell: int) -> torch.Tensor:
    """[H, W]: the size of the gradient of one cell's output by each input."""
    x = normal(1, grid[0] * grid[1], 8).requires_grad_()
    (grad,) = torch.autograd.grad(mixer(x, Ctx(grid=grid))[0, cell].sum(), x)
    return grad.abs().sum(-1).view(grid)


def test_no_gradient_crosses_a_window_without_shift_and_some_does_with_it() -> None:
    plain, shifted = (WindowAttention(8, heads=2, window=4, shift=s).double() for s in (0, 2))
    seen = reads(plain, (8, 8), 0)
    assert (seen[:4, :4] > 0).all()
    assert not seen[4:].any()
    assert not seen[:, 4:].any()
    across = reads(shifted, (8, 8), 3 * 8 + 3)
    assert (across[2:6, 2:6] > 0).all()
    assert int((across > 0).sum()) == 16


def test_cells_that_only_the_roll_made_neighbours_do_not_see_each_other() -> None:
    shifted = WindowAttention(8, heads=2, window=4, shift=2).double()
    seen = reads(shifted, (8, 8), 0) > 0
    assert int(seen.sum()) == 4
    assert seen[:2, :2].all()


def test_filler_cells_change_nothing() -> None:
    """A 5 × 6 grid in windows of 4 equals an 8 × 8 grid whose further cells are masked."""
    mixer = WindowAttention(8, heads=2, window=4, shift=0).double()
    small = normal(2, 5, 6, 8)
    large = normal(2, 8, 8, 8, seed=1)
    large[:, :5, :6] = small
    mask = torch.zeros(2, 8, 8, dtype=torch.bool)
    mask[:, :5, :6] = True
    y = mixer(small.flatten(1, 2), Ctx(grid=(5, 6))).view(2, 5, 6, 8)
    z = mixer(large.flatten(1, 2), Ctx(grid=(8, 8), mask=mask.flatten(1))).view(2, 8, 8, 8)
    torch.testing.assert_close(y, z[:, :5, :6], rtol=0, atol=1e-12)


def test_an_axis_inside_one_window_is_not_shifted() -> None:
    shifted, plain = (WindowAttention(8, heads=2, window=4, shift=s).double() for s in (2, 0))
    plain.load_state_dict(shifted.state_dict())
    x = normal(2, 12, 8)
    torch.testing.assert_close(shifted(x, Ctx(grid=(3, 4))), plain(x, Ctx(grid=(3, 4))))


@pytest.mark.parametrize(("grid", "sides", "shifts"), [((5, 7), [3, 3], [1, 1]), ((3, 4, 5), [2, 3, 2], [1, 1, 0])])
def test_paste_undoes_cut(grid: tuple[int, ...], sides: list[int], shifts: list[int]) -> None:
    x = normal(2, int(torch.Size(grid).numel()), 3)
    assert torch.equal(paste(cut(x, grid, sides, shifts), grid, sides, shifts), x)


def test_regions_are_those_of_the_authors() -> None:
    """Their nine slices give the same pairs: (0, −w), (−w, −s), (−s, end) on each axis."""
    grid, w, s = (8, 12), 4, 1
    number = torch.zeros(grid)
    slices = (slice(0, -w), slice(-w, -s), slice(-s, None))
    for i, rows in enumerate(slices):
        for j, columns in enumerate(slices):
            number[rows, columns] = 3 * i + j
    theirs = cut(number.view(1, -1, 1), grid, [w, w], [0, 0])[0, ..., 0]
    ours = regions(grid, [w, w], [s, s], torch.device("cpu"))
    assert torch.equal(theirs[:, :, None] == theirs[:, None], ours[:, :, None] == ours[:, None])


def test_a_shift_beyond_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="shift=4 must lie in 0"):
        WindowAttention(8, window=4, shift=4)
