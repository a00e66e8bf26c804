"""Attention-free mixing against the paper's sums."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.part import part
from sequary.mixers.attention.free import CausalFreeAttention, FreeAttention
from sequary.mixers.attention.pairs import FactoredPairs, TabledPairs


def tokens() -> Tensor:
    return torch.randn(2, 10, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def plain(q: Tensor, k: Tensor, v: Tensor, w_DTS: Tensor) -> Tensor:
    y = torch.zeros_like(v)
    for t in range(v.shape[1]):
        for d in range(v.shape[2]):
            e = (k[:, :, d] + w_DTS[d, t]).exp()
            y[:, t, d] = q[:, t, d].sigmoid() * (e * v[:, :, d]).sum(1) / e.sum(1)
    return y


def test_causal_with_kernels_of_lags() -> None:
    torch.manual_seed(0)
    mixer, x = CausalFreeAttention(8, heads=2, window=3).double(), tokens()
    assert mixer.lags is not None
    w = torch.full((8, 10, 10), -torch.inf, dtype=torch.float64)
    for t in range(10):
        for s in range(t + 1):
            w[:, t, s] = mixer.lags[:, t - s].detach().repeat_interleave(4) if t - s < 3 else 0.0
    q, k, v = mixer.qkv(x).chunk(3, -1)
    torch.testing.assert_close(mixer(x), mixer.o(plain(q, k, v, w)))


def test_a_window_of_none_is_the_simple_form() -> None:
    torch.manual_seed(0)
    mixer, x = CausalFreeAttention(8, window=0).double(), tokens()
    q, k, v = mixer.qkv(x).chunk(3, -1)
    past = torch.full((10, 10), -torch.inf, dtype=torch.float64).triu(1).expand(8, -1, -1)
    torch.testing.assert_close(mixer(x), mixer.o(plain(q, k, v, past)))


def test_local_biases_are_zero_far_away_and_still_count() -> None:
    torch.manual_seed(0)
    mixer, x = FreeAttention(8, pairs=part(TabledPairs, length=12, window=3)).double(), tokens()
    assert mixer.pairs is not None
    near = (torch.arange(10)[:, None] - torch.arange(10)).abs() < 3
    w = torch.where(near, mixer.pairs.get_parameter("table")[:10, :10], 0.0)
    torch.testing.assert_close(mixer(x), mixer.o(plain(mixer.q(x), mixer.k(x), mixer.v(x), w.expand(8, -1, -1))))


def test_factored_pairs_are_a_product() -> None:
    pairs = FactoredPairs(8, length=6, rank=2)
    torch.testing.assert_close(pairs(torch.arange(4)[None], torch.arange(6)[None])[0], pairs.a[:4] @ pairs.b.T)
