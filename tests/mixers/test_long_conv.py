"""The long convolution's kernel, scale by scale, and its sum."""

from __future__ import annotations

import torch

from sequary.mixers.conv.long import LongConv


def test_the_kernel_gets_coarser_and_smaller() -> None:
    conv = LongConv(1, width=2, scales=4, decay=0.5)
    with torch.no_grad():
        conv.weight.copy_(torch.arange(1.0, 9.0).view(4, 2, 1))
    assert conv.kernel()[:, 0].tolist() == [1, 2, 1.5, 2, 1.25, 1.25, 1.5, 1.5, *[0.875] * 4, *[1.0] * 4]
    assert conv.taps == len(conv.kernel())


def test_is_the_sum_shorter_and_longer_than_the_kernel() -> None:
    torch.manual_seed(0)
    conv = LongConv(3, width=2, scales=3).double()
    for length in (3, 20):
        x, k = torch.randn(1, length, 3, dtype=torch.float64), conv.kernel()
        told = [conv.D * x[:, t] + sum(k[s] * x[:, t - s] for s in range(min(t + 1, len(k)))) for t in range(length)]
        torch.testing.assert_close(conv(x), torch.stack(told, 1))
