"""Binding is a circular convolution, unbinding its approximate inverse, and the mixer the paper's sums written as loops."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.attention.holographic import HolographicAttention, bind, unbind


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolved(a: Tensor, b: Tensor) -> Tensor:
    width = len(a)
    return torch.stack([sum(a[j] * b[(i - j) % width] for j in range(width)) for i in range(width)])  # type: ignore[arg-type]


def inverse(q: Tensor) -> Tensor:
    return torch.stack([q[-i % len(q)] for i in range(len(q))])


def test_binding_and_unbinding() -> None:
    k, v, q = (normal(8, seed=s) for s in range(3))
    torch.testing.assert_close(torch.fft.irfft(bind(k, v), n=8), convolved(k, v))
    torch.testing.assert_close(unbind(bind(k, v), q), convolved(inverse(q), convolved(k, v)))


def test_a_bound_value_is_found_and_noise_grows_with_what_is_bound() -> None:
    """A key of flat spectrum finds the value alone exactly; among n pairs the cosine falls as 1 / √n."""
    keys = torch.fft.irfft(torch.polar(torch.ones(64, 129, dtype=torch.float64), 6.28 * normal(64, 129, seed=3)), n=256)
    values = normal(64, 256, seed=4)

    def cosine(pairs: int) -> float:
        groups = bind(keys, values).unflatten(0, (-1, pairs)).sum(1, keepdim=True).expand(-1, pairs, -1).flatten(0, 1)
        return float(torch.cosine_similarity(unbind(groups, keys), values, dim=-1).mean())

    assert cosine(1) > 0.99
    assert abs(cosine(4) - 1 / 4**0.5) < 0.05
    assert abs(cosine(64) - 1 / 64**0.5) < 0.05


def test_is_the_papers_sum() -> None:
    torch.manual_seed(0)
    mixer, x = HolographicAttention(16, heads=2).double(), normal(1, 6, 16, seed=5)
    q, k, v = (t[0] for t in mixer.qkv(x, None, 2))
    heads: list[Tensor] = []
    for h in range(2):
        beta = sum(convolved(k[h, t], v[h, t]) for t in range(6))
        assert isinstance(beta, Tensor)
        scores = [torch.cosine_similarity(convolved(inverse(q[h, t]), beta), v[h, t], dim=0) for t in range(6)]
        heads.append(torch.stack(scores).softmax(0)[:, None] * v[h])
    torch.testing.assert_close(mixer(x)[0], mixer.o(torch.cat(heads, -1)))


def test_padding_and_other_segments_are_not_bound() -> None:
    torch.manual_seed(0)
    mixer, x = HolographicAttention(16, heads=2).double(), normal(1, 7, 16, seed=6)
    mask = torch.tensor([[True] * 4 + [False] * 3])
    torch.testing.assert_close(mixer(x, Ctx(mask=mask))[:, :4], mixer(x[:, :4]))
    torch.testing.assert_close(mixer(x, Ctx(segments=mask.long()))[:, 4:], mixer(x[:, 4:]))
