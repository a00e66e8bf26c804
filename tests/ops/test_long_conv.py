"""The long convolution is the sum that it stands for, in every form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.ops.forms import form
from sequary.ops.long_conv import long_conv


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loop(x: Tensor, kernel: Tensor) -> Tensor:
    return torch.stack([sum(kernel[t - s] * x[:, s] for s in range(t + 1)) for t in range(x.shape[1])], 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [1, 2, 7, 40])
@pytest.mark.parametrize("name", ["fft", "reference"])
def test_is_the_sum(length: int, name: str) -> None:
    x, kernel = normal(2, length, 3), normal(length, 3, seed=1)
    with form(name):
        torch.testing.assert_close(long_conv(x, kernel), loop(x, kernel), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["fft", "reference"])
def test_rows_may_have_kernels_of_their_own_and_one_channel_serves_many(name: str) -> None:
    x, kernels, one = normal(2, 9, 3), normal(2, 9, 3, seed=1), normal(9, 4, seed=2)
    with form(name):
        apart = torch.cat([long_conv(x[i : i + 1], kernels[i]) for i in range(2)])
        torch.testing.assert_close(long_conv(x, kernels), apart)
        torch.testing.assert_close(long_conv(x[..., :1], one), long_conv(x[..., :1].expand(-1, -1, 4), one))


def test_gradients_agree() -> None:
    x, kernel = normal(2, 6, 3).requires_grad_(), normal(6, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(long_conv, (x, kernel))
    with form("reference"):
        assert torch.autograd.gradgradcheck(long_conv, (x, kernel))


def test_half_precision_keeps_its_type() -> None:
    assert long_conv(normal(1, 5, 2).bfloat16(), normal(5, 2).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["fft", "reference"])
def test_no_rows_are_no_error(name: str) -> None:
    x, kernel = normal(0, 5, 1).requires_grad_(), normal(5, 2).requires_grad_()
    with form(name):
        y = long_conv(x, kernel)
    y.sum().backward()
    assert y.shape == (0, 5, 2)
    assert kernel.grad is not None
    assert float(kernel.grad.abs().max()) == 0
