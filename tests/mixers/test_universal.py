"""URPE's attention and its offsets against the formulas."""

from __future__ import annotations

import torch

from sequary.core.part import part
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.offsets import EachOffset, LogOffsets
from sequary.mixers.attention.universal import UniversalAttention

X = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def made(*, universal: bool = True) -> UniversalAttention:
    torch.manual_seed(0)
    bias, factor = (part(EachOffset, heads=2, span=4, start=start) for start in (0.0, 1.0))
    return UniversalAttention(8, heads=2, bias=bias, factor=factor if universal else None).double()


def test_the_factor_multiplies_after_the_softmax() -> None:
    mixer = made()
    assert mixer.bias is not None
    assert mixer.factor is not None
    q, k, v = mixer.qkv(X, None, 2)
    mixed = torch.zeros_like(v)
    for h in range(2):
        for t in range(7):
            index = [min(max(s - t + 3, 0), 6) for s in range(7)]
            scores = (q[:, h, t, None] * k[:, h]).sum(-1) / 2 + mixer.bias.table[index, h]
            shares = scores.softmax(-1) * mixer.factor.table[index, h]
            mixed[:, h, t] = (shares[..., None] * v[:, h]).sum(1)
    torch.testing.assert_close(mixer(X), mixer.o(mixed.transpose(1, 2).flatten(2)))


def test_without_factor_and_bias_it_is_plain_attention() -> None:
    torch.manual_seed(0)
    mixer = UniversalAttention(8, heads=2).double()
    plain = Attention(8, heads=2).double()
    plain.load_state_dict(mixer.state_dict())
    torch.testing.assert_close(mixer(X), plain(X))


def test_equal_tokens_stay_equal_without_the_factor_alone() -> None:
    x = X[:, :1].expand(-1, 7, -1)
    apart = [(y - y[:, :1]).abs().max() for y in (made(universal=False)(x), made()(x))]
    assert apart[0] < 1e-12
    assert apart[1] > 1e-3


def test_buckets_are_exact_near_by_and_shared_far_away() -> None:
    index = LogOffsets(8, heads=1, buckets=16, farthest=32, length=100).index(torch.arange(-99, 100))
    near = index[99 - 3 : 99 + 4]
    assert near.tolist() == [4, 5, 6, 9, 10, 11, 12]  # ... -2, -1, a gap of two, 0, 1 ...
    assert index[0] == 0
    assert index[-1] == index[99 + 40] == 16
    assert bool((index.diff() >= 0).all())
