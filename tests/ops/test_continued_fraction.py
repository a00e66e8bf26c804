"""The fraction against a division at each level, its closed gradient against finite differences, and both near poles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.ops.continued_fraction import closed, continued_fraction
from sequary.ops.forms import form


def nested(a: Tensor) -> Tensor:
    """From the innermost entry outwards."""
    value = 1 / a[..., -1]
    for k in range(a.shape[-1] - 2, -1, -1):
        value = 1 / (a[..., k] + value)
    return value


def drawn(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.3


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_it_is_the_nested_fraction(depth: int) -> None:
    a = drawn(5, depth).requires_grad_()
    torch.testing.assert_close(continued_fraction(a), nested(a), rtol=1e-12, atol=0)
    ours, theirs = (torch.autograd.grad(f(a).sum(), a)[0] for f in (continued_fraction, nested))
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=0)


@pytest.mark.parametrize("depth", [1, 2, 4, 5])
def test_the_closed_gradient_is_that_of_the_recurrence_at_poles_too(depth: int) -> None:
    a = drawn(40, depth)
    a[:, 0] = -1 / nested(a[:, 1:]).reciprocal() if depth > 1 else 0.0  # a_1 = −f(a_2 …): K_d = 0
    a[:20] += 0.002 * drawn(20, depth)  # within `least` of it
    a.requires_grad_()
    slow = torch.func.grad(lambda x: _reference(x).sum())(a)
    (fast,) = torch.autograd.grad(closed(a, 0.05).sum(), a)
    assert fast.isfinite().all()
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)


def _reference(a: Tensor) -> Tensor:
    with form("reference"):
        return continued_fraction(a, 0.05)
