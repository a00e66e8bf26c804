"""Linformer: its limit, its sharing, its length and padding."""

from __future__ import annotations

import pytest
import torch

from sequary.core.ctx import Ctx
from sequary.core.part import Tied, part
from sequary.core.place import Place
from sequary.mixers.attention.linformer import LinformerAttention
from sequary.mixers.attention.pools import HeadPool, LearnedPool, MeanPool
from sequary.mixers.attention.projection import join, split
from sequary.ops.attend import attend


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(**changes: object) -> LinformerAttention:
    kw = {"length": 9, "heads": 2, "keys": part(LearnedPool, length=9, size=4), **changes}
    return part(LinformerAttention, **kw).build(Place(8)).double()


def full(mixer: LinformerAttention, x: torch.Tensor) -> torch.Tensor:
    inner = mixer.inner
    assert inner.v is not None
    q, k, v = (split(y, 2) for y in (inner.q(x), inner.k(x), inner.v(x)))
    return inner.o(join(attend(q, k, v)))


@pytest.mark.parametrize("pool", [part(LearnedPool, length=9, size=9), part(HeadPool, length=9, size=9, heads=2)])
def test_identity_is_full_attention(pool: object) -> None:
    mixer, x = built(keys=pool), normal(2, 9, 8)
    assert (mixer(x) - full(mixer, x)).abs().max() > 1e-3
    with torch.no_grad():
        mixer.inner.keys.get_parameter("e").copy_(torch.eye(9))
    torch.testing.assert_close(mixer(x), full(mixer, x), rtol=0, atol=1e-12)


def test_means_of_single_positions_are_full_attention() -> None:
    mixer, x = built(keys=part(MeanPool, length=9, size=9)), normal(2, 9, 8)
    torch.testing.assert_close(mixer(x), full(mixer, x), rtol=0, atol=1e-12)
    e = part(MeanPool, length=9, size=2).build(Place(4)).matrix(x)
    torch.testing.assert_close(e.sum(1), torch.ones(1, 2, dtype=torch.float64))


def test_a_shorter_sequence_is_one_filled_up_with_zeros() -> None:
    mixer, x = built(values=part(LearnedPool, length=9, size=3 + 1)), normal(2, 6, 8)
    mask = torch.arange(9).expand(2, -1) < 6
    padded = mixer(torch.cat((x, normal(2, 3, 8, seed=1)), 1), Ctx(mask=mask))[:, :6]
    torch.testing.assert_close(mixer(x), padded, rtol=0, atol=1e-12)


def test_padding_on_the_left_shifts_nothing() -> None:
    mixer, x = built(), normal(2, 6, 8)
    mask = torch.arange(9).expand(2, -1) >= 3
    padded = mixer(torch.cat((normal(2, 3, 8, seed=1), x), 1), Ctx(mask=mask))[:, 3:]
    torch.testing.assert_close(mixer(x), padded, rtol=0, atol=1e-12)


def test_a_longer_sequence_is_refused_with_padding_too() -> None:
    with pytest.raises(ValueError, match="built for length=9"):
        built()(normal(1, 10, 8))
    with pytest.raises(ValueError, match="built for length=9"):
        built()(normal(1, 12, 8), Ctx(mask=torch.arange(12)[None] < 11))


def test_tied_parts_share_one_projection_over_layers() -> None:
    tied, place = Tied("e", part(LearnedPool, length=9, size=4)), Place(8)
    first, second = (part(LinformerAttention, length=9, heads=2, keys=tied).build(place) for _ in range(2))
    assert first.inner.keys is second.inner.keys
