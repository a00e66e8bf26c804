"""Partial attention and its stack: the formula, and the scores that are passed on."""

from __future__ import annotations

import math

import pytest
import torch

from sequary.backbones.partial_stack import PartialStack
from sequary.core.part import part
from sequary.mixers.attention.partial import PartialAttention
from sequary.mixers.attention.score_heads import PairedScores


def test_it_is_the_papers_loop() -> None:
    torch.manual_seed(0)
    mixer = PartialAttention(8, heads=3, width=4, base=None).double()
    x = torch.randn(5, 8, dtype=torch.float64)
    q, k, v, u = mixer.q(x), mixer.k(x), mixer.v(x), mixer.u(x).relu()
    joined = torch.zeros(5, 12, dtype=torch.float64)
    for h in range(3):
        head = slice(4 * h, 4 * h + 4)
        for t in range(5):
            scores = torch.stack([q[t, head] @ k[s, head] / math.sqrt(4) for s in range(t + 1)])
            a = scores.softmax(0) @ v[: t + 1, head]
            joined[t, head] = a + mixer.down(mixer.up(a).relu())
    torch.testing.assert_close(mixer(x[None])[0], mixer.o(joined * u), rtol=0, atol=1e-12)


def test_the_second_layer_adds_the_scores_of_the_first() -> None:
    torch.manual_seed(0)
    stack = PartialStack(8, depth=2, layer=part(PartialAttention, heads=2, width=4, base=None)).double()
    first, second = stack.layers
    assert isinstance(first, PartialAttention)
    assert isinstance(second, PartialAttention)
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        for part_of in (second.q, second.k):  # no scores of its own
            part_of.weight.zero_()
            part_of.bias.zero_()
        at, sees = torch.arange(5)[None], torch.ones(1, 5, 5, dtype=torch.bool).tril()
        h = stack.norms[0](x)
        q, k, _ = first.project(h, at)
        after = x + first(h)
        v = second.project(stack.norms[1](after), at)[2]
        said = second.out(second.weights(first.scores(q, k), sees), v, stack.norms[1](after))
        torch.testing.assert_close(stack(x)[0].x, stack.norm(after + said), rtol=0, atol=1e-12)


def test_pairs_must_be_as_many_as_heads() -> None:
    with pytest.raises(ValueError, match="use count=3"):
        PairedScores(9, count=2)
