"""Halo attention by its definition, cell by cell; its strided form; groups that share keys, in both forms."""

from __future__ import annotations

import itertools

import pytest
import torch

from sequary.backbones.halo_down import HaloDown
from sequary.core.ctx import Ctx
from sequary.mixers.attention.halo import HaloAttention, HaloOffsets, blocks
from sequary.ops.forms import form
from sequary.ops.groups import attend_groups


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    offsets: HaloOffsets,
    grid: tuple[int, int],
    cell: tuple[int, ...],
    real: torch.Tensor,
) -> torch.Tensor:
    """One head: the query q [K] of `cell` over k, v [T, ·]."""
    block, halo, stride = offsets.sizes
    scores, values = [], []
    for row, column in itertools.product(*map(range, grid)):
        inside = all(
            c // block * block - halo <= s < c // block * block + block + halo
            for c, s in zip(cell, (row, column), strict=True)
        )
        if inside and real[row * grid[1] + column]:
            at = row * grid[1] + column
            place = offsets.rows[row - cell[0] + block + halo - stride]
            place = place + offsets.columns[column - cell[1] + block + halo - stride]
            scores.append(q @ (k[at] + place) * len(q) ** -0.5)
            values.append(v[at])
    return torch.stack(scores).softmax(0) @ torch.stack(values)


@pytest.mark.parametrize(("grid", "block", "halo"), [((4, 6), 2, 1), ((5, 4), 3, 2), ((3, 3), 4, 0)])
def test_a_block_reads_itself_and_its_halo(grid: tuple[int, int], block: int, halo: int) -> None:
    mixer = HaloAttention(4, heads=1, block=block, halo=halo).double()
    cells = list(itertools.product(*map(range, grid)))
    x, real = normal(1, len(cells), 4), torch.ones(len(cells), dtype=torch.bool)
    real[1] = False
    y = mixer(x, Ctx(grid=grid, mask=real[None]))[0]
    q, k, v = (p(x[0]) for p in (mixer.qkv.q, mixer.qkv.k, mixer.qkv.v))
    for at, cell in enumerate(cells):
        expected = mixer.o(by_hand(q[at], k, v, mixer.offsets, grid, cell, real))
        torch.testing.assert_close(y[at], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("grid", [(4, 6), (5, 3)])
def test_strided_queries_ask_their_block(grid: tuple[int, int]) -> None:
    down = HaloDown(4, heads=1, block=2, halo=1, width=6).double()
    cells = list(itertools.product(*map(range, grid)))
    x, real = normal(1, len(cells), 4), torch.ones(len(cells), dtype=torch.bool)
    real[1] = False
    y, after = down(x, Ctx(grid=grid, mask=real[None]))
    assert after.grid == (-(-grid[0] // 2), -(-grid[1] // 2))
    q, k, v = down.q(x[0]), down.k(x[0]), down.v(x[0])
    asking = [c for c in cells if c[0] % 2 == 0 and c[1] % 2 == 0]
    for row, cell in zip(y[0], asking, strict=True):
        at = cell[0] * grid[1] + cell[1]
        torch.testing.assert_close(
            row, down.o(by_hand(q[at], k, v, down.offsets, grid, cell, real)), rtol=0, atol=1e-12
        )


def test_groups_equal_their_loop_in_value_and_gradient() -> None:
    queries, keys = blocks((4, 5), block=2, halo=1)
    sees, offsets = (keys >= 0)[None, :, None].expand(1, -1, 4, -1), normal(4, 16, 3, seed=9)
    q, k, v = (normal(2, 2, 20, 3, seed=s).requires_grad_() for s in range(3))
    found = []
    for name in ("reference", "groups"):
        with form(name):
            y = attend_groups(q, k, v, queries, keys, sees_BGQN=sees, offsets_QNK=offsets)
        found.append((y, *torch.autograd.grad((y * y.cos().detach()).sum(), (q, k, v))))
    for slow, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)


def test_errors_name_the_mend() -> None:
    with pytest.raises(ValueError, match="halving needs an even one"):
        HaloDown(4, heads=1, block=3)
    with pytest.raises(ValueError, match="a halo none or more"):
        HaloAttention(4, heads=1, halo=-1)
