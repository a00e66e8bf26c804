"""The norm in few passes is torch's, in value and slope."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import form
from sequary.ops.rms_norm import rms_norm


def leaf(*shape: int) -> Tensor:
    return torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape))
    ).requires_grad_()


def test_both_forms_agree_with_torch() -> None:
    x, weight, slope = leaf(2, 5, 7), leaf(7), torch.randn(2, 5, 7, dtype=torch.float64)
    wanted = F.rms_norm(x, (7,), weight, 1e-3)
    slopes = torch.autograd.grad(wanted, (x, weight), slope)
    for name in ("reference", "passes"):
        with form(name):
            found = rms_norm(x, weight, eps=1e-3)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
        for mine, theirs in zip(torch.autograd.grad(found, (x, weight), slope), slopes, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_a_vector_of_zeros_stays_finite() -> None:
    x, weight = torch.zeros(1, 3, 4, requires_grad=True), torch.ones(4, requires_grad=True)
    y = rms_norm(x, weight, eps=1e-6)
    y.sum().backward()
    assert x.grad is not None
    assert y.abs().max() == 0
    assert x.grad.isfinite().all()
