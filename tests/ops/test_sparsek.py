"""The projection against bisection, its two forms, and its derivative."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.ops.forms import form
from sequary.ops.sparsek import sparsek


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bisected(u: Tensor, k: int) -> Tensor:
    if len(u) <= k:
        return torch.ones_like(u)
    low, high = float(u.min()) - 1, float(u.max())
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if float((u - middle).clamp(0, 1).sum()) > k else (low, middle)
    return (u - low).clamp(0, 1)


@pytest.mark.parametrize("name", ["sorted", "reference"])
@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])
def test_the_projection_of_every_set(name: str, spread: float) -> None:
    u = spread * normal(2, 9)
    member = torch.rand(2, 30, 9, generator=torch.Generator().manual_seed(1)) < 0.6
    with form(name):
        p = sparsek(u, member, 3)
    for row, which in ((r, t) for r in range(2) for t in range(30)):
        inside = member[row, which]
        torch.testing.assert_close(p[row, which, inside], bisected(u[row, inside], 3), rtol=0, atol=1e-9)
        assert p[row, which, ~inside].abs().sum() == 0


def test_ties_and_stretches_on_which_nothing_changes() -> None:
    u = torch.tensor([[5.0, 5.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    everything = torch.ones(2, 1, 5, dtype=torch.bool)
    expected = torch.tensor([[[1.0, 1, 0, 0, 0]], [[0.4] * 5]], dtype=torch.float64)
    for name in ("sorted", "reference"):
        with form(name):
            torch.testing.assert_close(sparsek(u, everything, 2), expected)


def test_the_derivative() -> None:
    member = torch.ones(1, 2, 6, dtype=torch.bool)
    member[0, 1, 2] = False
    assert torch.autograd.gradcheck(lambda u: sparsek(u, member, 2), (normal(1, 6).requires_grad_(),))
