"""Lightweight and dynamic convolutions against the paper's sums, written as loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.conv.light import DynamicConv, LightConv


def tokens(seed: int = 0) -> Tensor:
    return torch.randn(2, 11, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loop(x: Tensor, kernel: Tensor, *, heads: int, ahead: int, renormalise: bool) -> Tensor:
    """`kernel` [B, T, H, K], logits."""
    y, size = torch.zeros_like(x), kernel.shape[-1]
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            for c in range(x.shape[2]):
                logits = kernel[b, t, c * heads // x.shape[2]].tolist()
                at = [t + ahead - (size - 1) + j for j in range(size)]
                inside = [0 <= s < x.shape[1] for s in at]
                mass = [math.exp(w) * (ok or not renormalise) for w, ok in zip(logits, inside, strict=True)]
                y[b, t, c] = sum(
                    m / sum(mass) * float(x[b, s, c]) for m, s, ok in zip(mass, at, inside, strict=True) if ok
                )
    return y


@pytest.mark.parametrize(("ahead", "renormalise"), [(0, False), (2, False), (0, True), (3, True)])
def test_dynamic_is_the_sum(ahead: int, renormalise: bool) -> None:
    torch.manual_seed(0)
    conv = DynamicConv(8, heads=2, taps=4, ahead=ahead, renormalise=renormalise).double()
    x = tokens()
    kernel = (x @ conv.kernel.weight.T).unflatten(-1, (2, 4))
    torch.testing.assert_close(conv(x), loop(x, kernel, heads=2, ahead=ahead, renormalise=renormalise))


def test_a_constant_prediction_is_the_light_convolution() -> None:
    torch.manual_seed(0)
    light, dynamic = LightConv(8, heads=2, taps=4).double(), DynamicConv(8, heads=2, taps=4, kernel_bias=True).double()
    with torch.no_grad():
        dynamic.kernel.weight.zero_()
        dynamic.kernel.bias.copy_(light.weight.flatten())
    torch.testing.assert_close(dynamic(tokens()), light(tokens()))


def test_renormalised_weights_of_a_packed_row_sum_to_one() -> None:
    torch.manual_seed(0)
    conv = DynamicConv(8, heads=2, taps=5, renormalise=True).double()
    ones, segments = torch.ones(1, 9, 8, dtype=torch.float64), torch.tensor([[1, 1, 1, 2, 2, 2, 2, 2, 2]])
    torch.testing.assert_close(conv(ones, Ctx(segments=segments)), ones)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match="ahead=4 of taps=4"):
        LightConv(8, taps=4, ahead=4)
    with pytest.raises(ValueError, match="needs softmax=True"):
        DynamicConv(8, softmax=False, renormalise=True)
