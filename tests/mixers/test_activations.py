"""Activations against their formulas, at the sizes where a naive form breaks."""

from __future__ import annotations

import math

import pytest
import torch

from sequary.mixers.mlp.activations import Activation, ReLU
from sequary.mixers.mlp.crrelu import CRReLU
from sequary.mixers.mlp.polynomials import PolyNorm, PolyReLU


def values() -> torch.Tensor:
    return torch.randn(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_polyrelu_of_the_first_power_alone_is_relu() -> None:
    act = PolyReLU(7).double()
    with torch.no_grad():
        act.a.copy_(torch.tensor([1.0, 0.0, 0.0]))
    assert torch.equal(act(values()), ReLU(7)(values()))


@pytest.mark.parametrize("size", [1e-3, 1.0, 5.0])
def test_polynorm_is_the_papers_sum(size: float) -> None:
    act, x = PolyNorm(7).double(), size * values()
    with torch.no_grad():
        act.a.copy_(torch.tensor([0.5, -0.2, 0.7]))
        act.constant.fill_(0.3)
    expected = 0.3 + sum(a * x**i / (x**i).square().mean(-1, keepdim=True).add(1e-6).sqrt() for i, a in
                         zip((1, 2, 3), (0.5, -0.2, 0.7), strict=True))  # fmt: skip
    torch.testing.assert_close(act(x), expected, rtol=0, atol=1e-7)


def test_polynorm_takes_large_half_precision_values() -> None:
    x = (100 * values()).half()
    assert torch.isinf(x**3).any()
    assert torch.isfinite(PolyNorm(7).half()(x)).all()


def test_crrelu_is_relu_with_a_bump() -> None:
    act = CRReLU(7, start=0.25)
    for x in (-3.0, -0.5, 0.0, 2.0):
        expected = max(0.0, x) + 0.25 * x * math.exp(-x * x / 2)
        assert float(act(torch.tensor(x)).detach()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("act", [PolyReLU(7), PolyNorm(7), CRReLU(7)])
def test_coefficients_get_the_gradient_of_finite_differences(act: Activation) -> None:
    act.double()
    names = [n for n, _ in act.named_parameters()]

    def call(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(act, dict(zip(names, weights, strict=True)), (x,))

    free = [p.detach().requires_grad_() for p in act.parameters()]
    assert torch.autograd.gradcheck(call, (values().requires_grad_(), *free), fast_mode=True)
