"""Attention with a segment memory against a loop over its equation, and its reach."""

from __future__ import annotations

import math

import torch

from sequary.blocks.identity_map import GRUGate
from sequary.mixers.attention.segment_memory import SegmentMemoryAttention


def built(memory: int, segment: int) -> SegmentMemoryAttention:
    torch.manual_seed(0)
    mixer = SegmentMemoryAttention(8, heads=2, memory=memory, segment=segment).double()
    for weight in (mixer.u, mixer.v):
        torch.nn.init.normal_(weight)
    return mixer


def test_it_is_the_papers_loop() -> None:
    mixer, x = built(3, 4), torch.randn(11, 8, dtype=torch.float64)
    q, k, v = (x @ mixer.qkv.get_parameter(f"{n}.weight").T for n in "qkv")
    rates = torch.tensor([10_000 ** (-2 * j / 8) for j in range(4)], dtype=torch.float64)
    out = torch.zeros_like(x)
    for h in range(2):
        part = slice(4 * h, 4 * h + 4)
        for t in range(11):
            seen = range(max(0, t - t % 4 - 3), t + 1)
            scores = []
            for s in seen:
                wave = torch.cat(((rates * (t - s)).sin(), (rates * (t - s)).cos()))
                relative = (q[t, part] + mixer.v[h, 0]) @ (mixer.r.weight @ wave)[part]
                scores.append(((q[t, part] + mixer.u[h, 0]) @ k[s, part] + relative) / math.sqrt(4))
            out[t, part] = torch.stack(scores).softmax(0) @ v[list(seen), part]
    torch.testing.assert_close(mixer(x[None])[0], out @ mixer.o.weight.T, rtol=0, atol=1e-6)


def test_tokens_older_than_the_memory_are_not_read() -> None:
    mixer, x = built(3, 4), torch.randn(1, 11, 8, dtype=torch.float64)
    other = x.clone()
    other[:, 4] += 1
    assert torch.equal(mixer(x)[:, 8:], mixer(other)[:, 8:])  # position 8 opens a segment, and its memory begins at 5
    assert not torch.equal(mixer(x)[:, 7], mixer(other)[:, 7])


def test_a_gate_with_a_large_bias_is_the_identity() -> None:
    x, y = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    torch.testing.assert_close(GRUGate(8, bias=60.0)(x, y), x)
    assert (GRUGate(8)(x, y) - x).abs().max() > 0.1
