"""Orders over the cells of an image: what is known when, and how training and decoding share it."""

from __future__ import annotations

import math

import pytest
import torch

from sequary.orders.masked import Masked
from sequary.orders.permuted import Permuted
from sequary.orders.scales import Scales


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_scales_are_maps_one_after_another() -> None:
    plan = Scales((1, 2, 3)).plan((3, 3), rng())
    assert [g.positions.tolist() for g in plan.groups] == [[0], [1, 2, 3, 4], list(range(5, 14))]
    assert [g.grid for g in plan.groups] == [(1, 1), (2, 2), (3, 3)]


def test_scales_refuse_another_finest_grid() -> None:
    with pytest.raises(ValueError, match=r"grid=\(4, 4\) is not the finest.*use \(3, 3\)"):
        Scales((1, 2, 3)).plan((4, 4), rng())


def test_permuted_anneals_from_random_to_raster() -> None:
    order = Permuted(start=0.5, stop=0.75)
    raster = torch.arange(16)
    shares = [
        (order.rows(2000, (4, 4), rng(), p) == raster).all(1).float().mean().item() for p in (0.0, 0.5, 0.625, 0.75, 1)
    ]
    assert shares[0] == shares[1] == 0
    assert shares[2] == pytest.approx(0.5, abs=0.05)
    assert shares[3] == shares[4] == 1


def test_permuted_rows_are_uniform_permutations() -> None:
    rows = Permuted().rows(6000, (3,), rng(), 0.0)
    _, counts = rows.unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert counts.min() > 850


def test_permuted_decodes_raster() -> None:
    assert [int(g.positions) for g in Permuted().plan((2, 3), rng()).groups] == [0, 1, 2, 3, 4, 5]


def test_masked_sizes_follow_the_cosine() -> None:
    left = Masked(iterations=8).left(64)
    assert left == (*(math.floor(64 * math.cos(math.pi / 2 * k / 8)) for k in range(1, 8)), 0)


@pytest.mark.parametrize(("iterations", "cells"), [(1, 5), (3, 16), (16, 16), (64, 49), (9, 1)])
def test_masked_groups_hold_each_cell_once_and_none_is_empty(iterations: int, cells: int) -> None:
    order = Masked(iterations).rows(4, (cells,), rng())
    groups = Masked(iterations).groups(order)
    assert all(g.shape[1] > 0 for g in groups)
    assert len(groups) == min(iterations, cells)
    assert torch.equal(torch.cat(groups, 1).sort(1).values, torch.arange(cells).expand(4, -1))


def test_masked_decodes_the_end_of_the_order_first() -> None:
    order = torch.tensor([[3, 1, 0, 2]])
    assert Masked(2).groups(order)[0].tolist() == [[0, 2]]
