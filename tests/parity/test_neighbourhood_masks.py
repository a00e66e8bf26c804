"""NATTEN's neighbourhoods, counted key by key: masks of any kernel, stride, dilation and causal axes; its modules at any size."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor

from sequary.convert.nat_neighborhood import load, replay


def axis(query: int, length: int, kernel: int, stride: int, dilation: int, causal: bool) -> list[int]:
    """The keys of one query along one axis: windows live inside a class of equal remainders mod dilation."""
    rest, place = query % dilation, query // dilation
    members = len(range(rest, length, dilation))
    first = place // stride * stride
    if causal:
        leader = min(first + stride - 1, members - 1)
        return [rest + dilation * k for k in range(max(0, leader - kernel + 1), place + 1)]
    leader = min(first + stride // 2, members - 1)
    start = min(max(leader - kernel // 2, 0), members - kernel)
    return [rest + dilation * k for k in range(start, start + kernel)]


def drawn(rng: random.Random) -> tuple[list[int], dict[str, Any]]:
    grid = [rng.randint(3, most) for most in rng.choice([[20], [7, 6], [4, 3, 5]])]
    dilation = [rng.randint(1, n // 2) if n > 3 else 1 for n in grid]
    kernel = [rng.randint(2, n // d) for n, d in zip(grid, dilation, strict=True)]
    stride = [rng.randint(1, k) for k in kernel]
    causal = [rng.random() < 0.4 for _ in grid]
    return grid, {"kernel_size": kernel, "stride": stride, "dilation": dilation, "is_causal": causal}


@pytest.mark.parametrize("seed", range(24))
def test_masks(seed: int) -> None:
    grid, a = drawn(random.Random(seed))
    rng = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, *grid, 2, 3, dtype=torch.float64, generator=rng) for _ in range(3))
    cells = list(itertools.product(*map(range, grid)))
    sees = torch.zeros(len(cells), len(cells), dtype=torch.bool)
    for row, cell in enumerate(cells):
        each = zip(cell, grid, a["kernel_size"], a["stride"], a["dilation"], a["is_causal"], strict=True)
        for seen in itertools.product(*(axis(*one) for one in each)):
            sees[row, cells.index(seen)] = True
    found = replay(load("get_na_flex_mask (neighbourhood mask)", a, {}), {"query": q, "key": k, "value": v}, a)
    assert torch.equal(found["mask"].bool(), sees)
    flat = [t.flatten(1, -3).transpose(1, 2) for t in (q, k, v)]
    scores = (flat[0] @ flat[1].mT / math.sqrt(3)).masked_fill(~sees, -torch.inf)
    torch.testing.assert_close(found["y"], (scores.softmax(-1) @ flat[2]).transpose(1, 2).view_as(q))


def by_hand(x: Tensor, w: dict[str, Tensor], kernel: int, dilation: int) -> Tensor:
    """[B, T, D] through the module of one axis, one head."""
    q, k, v = torch.nn.functional.linear(x, w["qkv.weight"], w["qkv.bias"]).chunk(3, -1)
    rows: list[Tensor] = []
    for t in range(x.shape[1]):
        keys = torch.tensor(axis(t, x.shape[1], kernel, 1, dilation, False))
        offsets = (keys - t) // dilation + kernel - 1
        scores = (k[:, keys] @ q[:, t, :, None])[..., 0] / math.sqrt(x.shape[-1]) + w["rpb"][0, offsets]
        rows.append((scores.softmax(-1)[..., None] * v[:, keys]).sum(1))
    return torch.nn.functional.linear(torch.stack(rows, 1), w["proj.weight"], w["proj.bias"])


@pytest.mark.parametrize(("length", "kernel", "dilation"), [(9, 3, 2), (11, 3, 3), (7, 7, 1), (5, 1, 1), (13, 5, 2)])
def test_the_module(length: int, kernel: int, dilation: int) -> None:
    rng = torch.Generator().manual_seed(0)
    shapes = {
        "qkv.weight": (12, 4),
        "qkv.bias": (12,),
        "rpb": (1, 2 * kernel - 1),
        "proj.weight": (4, 4),
        "proj.bias": (4,),
    }
    w = {n: torch.randn(*s, dtype=torch.float64, generator=rng) for n, s in shapes.items()}
    x = torch.randn(2, length, 4, dtype=torch.float64, generator=rng)
    a = {"dim": 4, "num_heads": 1, "kernel_size": kernel, "dilation": dilation}
    found = replay(load("NeighborhoodAttention1D", a, w), {"x": x}, a)["y"]
    torch.testing.assert_close(found, by_hand(x, w, kernel, dilation))
