"""Attention within gathered blocks and within runs: each form against a loop, and readings merged against one softmax."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sequary.ops.attend import attend
from sequary.ops.block_attend import Reading, block_attend, merge, reading, run_attend
from sequary.ops.forms import form


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def both(call: Callable[[Tensor, Tensor, Tensor], Reading]) -> list[list[Tensor]]:
    """Values and gradients in the fast and the plain form."""
    found: list[list[Tensor]] = []
    for name in ("blocks", "reference"):
        q, k, v = (normal(2, 2, 23, 4, seed=s).requires_grad_() for s in range(3))
        with form(name):
            o, z = call(q, k, v)
        total = (o * o.cos().detach()).sum() + torch.where(z > -1e9, z, 0).sin().sum()
        found.append([o, z, *torch.autograd.grad(total, (q, k, v))])
    return found


@pytest.mark.parametrize(("ahead", "itself"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("width", [1, 3, 8, 40])
def test_runs_in_both_forms(width: int, ahead: bool, itself: bool) -> None:
    run = (torch.arange(23) // 9).expand(2, 1, -1)
    real = torch.rand(2, 1, 23, generator=torch.Generator().manual_seed(3)) < 0.8
    fast, slow = both(
        lambda q, k, v: run_attend(q, k, v, width=width, run_BhT=run, real_BhT=real, ahead=ahead, itself=itself)
    )
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_runs_against_a_loop() -> None:
    q, k, v = (normal(1, 1, 11, 4, seed=s) for s in range(3))
    run, real = (torch.arange(11) // 6)[None, None], (torch.arange(11) != 2)[None, None]
    o, _ = run_attend(q, k, v, width=3, run_BhT=run, real_BhT=real)
    for t in range(11):
        keys = [s for s in range(max(0, t - 2), t + 1) if s // 6 == t // 6 and s != 2]
        w = torch.tensor([float(q[0, 0, t] @ k[0, 0, s]) / 2 for s in keys], dtype=torch.float64).softmax(0)
        expected = sum(w[i] * v[0, 0, s] for i, s in enumerate(keys))
        torch.testing.assert_close(o[0, 0, t], expected, rtol=0, atol=1e-12)


def test_blocks_in_both_forms() -> None:
    rng = torch.Generator().manual_seed(5)
    queries = torch.rand(2, 2, 5, 23, generator=rng).argsort(-1)[..., :4]
    keys = torch.rand(2, 2, 5, 23, generator=rng).argsort(-1)[..., :6]
    sees = torch.rand(2, 2, 5, 4, 6, generator=rng) < 0.6
    sees[0, 0, 0, 0] = False
    fast, slow = both(lambda q, k, v: block_attend(q, k, v, queries, keys, sees_BHGMN=sees))
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    assert fast[0][0, 0, 0, 0].abs().max() == 0


def test_merged_readings_are_one_softmax() -> None:
    q, k, v = (normal(2, 2, 7, 4, seed=s) for s in range(3))
    first = torch.arange(7) < 3
    first = first.expand(2, 2, 7, 7)
    nothing = torch.zeros_like(first)
    found = merge([reading(q, k, v, sees) for sees in (first, ~first, nothing)])
    torch.testing.assert_close(found, attend(q, k, v), rtol=0, atol=1e-12)
    o, z = reading(q, k, v, nothing)
    assert o.abs().max() == 0
    assert math.isfinite(float(z.max()))
