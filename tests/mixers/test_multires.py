"""The multiresolution convolution: the tree written as loops, a stationary wavelet transform with Haar filters, and how far it sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.conv.multires import MultiresConv


def tokens(length: int, width: int = 3) -> Tensor:
    return torch.randn(1, length, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def at(x: Tensor, t: int) -> Tensor:
    return x[0, t] if t >= 0 else torch.zeros(x.shape[2], dtype=x.dtype)


def filtered(h: Tensor, x: Tensor, t: int, dilation: int) -> Tensor:
    taps = h.shape[1]
    return torch.stack([h[:, taps - 1 - k] * at(x, t - dilation * k) for k in range(taps)]).sum(0)


@pytest.mark.parametrize(("taps", "depth"), [(2, 3), (3, 2), (4, 1)])
def test_is_the_tree(taps: int, depth: int) -> None:
    torch.manual_seed(0)
    conv, x = MultiresConv(3, taps=taps, depth=depth).double(), tokens(11)
    average, y = x, conv.mix[:, -1] * x
    for level in range(depth):
        sums = [torch.stack([filtered(h, average, t, 1 << level) for t in range(11)]) for h in (conv.low, conv.high)]
        average, y = sums[0][None], y + conv.mix[:, depth - level] * sums[1]
    torch.testing.assert_close(conv(x), y + conv.mix[:, 0] * average)


def test_haar_filters_give_means_of_blocks_and_the_whole_is_kept() -> None:
    """a_j is the mean of 2^j tokens, b_j half the difference of two such means: x = a_J + Σ b_j, a stationary wavelet transform."""
    conv, x = MultiresConv(3, taps=2, depth=3).double(), tokens(20)
    with torch.no_grad():
        conv.low.fill_(0.5)
        conv.high.copy_(torch.tensor([-0.5, 0.5]).expand(3, 2))
        conv.mix.fill_(1.0)[:, -1] = 0.0
    torch.testing.assert_close(conv(x), x)
    average, _, _ = conv.tree(x, conv.init_state(1), Ctx())
    torch.testing.assert_close(average[0, 12], x[0, 5:13].mean(0))


@pytest.mark.parametrize(("taps", "depth"), [(2, 4), (3, 3)])
def test_sees_as_far_as_the_tree_and_no_further(taps: int, depth: int) -> None:
    torch.manual_seed(0)
    conv, x = MultiresConv(3, taps=taps, depth=depth).double(), tokens(60).requires_grad_()
    (grad,) = torch.autograd.grad(conv(x)[0, -1].sum(), x)
    seen = grad[0].abs().sum(-1).nonzero().flatten()
    assert int(seen[0]) == 59 - (taps - 1) * (2**depth - 1)
