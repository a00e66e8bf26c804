"""Combiner's patterns against the weights written out token by token, in one softmax."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sequary.mixers.attention.combiner import Combiner, FixedCombiner, LogCombiner

T = 13


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fixed(t: int) -> list[range]:
    """Regions of the pattern with blocks of 4, single tokens as regions of one."""
    return [range(r, r + 4) for r in range(0, t // 4 * 4, 4)] + [range(s, s + 1) for s in range(t // 4 * 4, t + 1)]


def tree(t: int) -> list[range]:
    """For each set bit of t the aligned run of that size before the run of t."""
    runs = [((t >> bit) - 1 << bit, 1 << bit) for bit in range(4) if t >> bit & 1]
    return [range(first, first + size) for first, size in runs] + [range(t, t + 1)]


def test_both_patterns_cover_the_past_once() -> None:
    for pattern in (fixed, tree):
        assert all(sorted(s for region in pattern(t) for s in region) == list(range(t + 1)) for t in range(T))


@pytest.mark.parametrize(
    ("mixer", "regions"), [(FixedCombiner(6, heads=1, block=4), fixed), (LogCombiner(6, heads=1), tree)]
)
def test_regions_compete_by_their_greatest_key(mixer: Combiner, regions: Callable[[int], list[range]]) -> None:
    mixer = mixer.double()
    x = normal(1, T, 6)
    q, k, v = (y[0] for y in mixer.keep(x))
    rows: list[Tensor] = []
    for t in range(T):
        scores, values = [], []
        for region in regions(t):
            i = list(region)
            scores.append(q[t] @ k[i].amax(0) / math.sqrt(6))
            values.append((k[i] @ q[i].amax(0) / math.sqrt(6)).softmax(0) @ v[i])
        rows.append(torch.stack(scores).softmax(0) @ torch.stack(values))
    torch.testing.assert_close(mixer(x)[0], mixer.o(torch.stack(rows)), rtol=0, atol=1e-12)
