"""SparseK attention against a loop over the definition, across the borders of chunks."""

from __future__ import annotations

import math

import torch

from sequary.mixers.attention.sparsek import CHUNK, SparseKAttention
from sequary.ops.sparsek import sparsek


def test_each_token_reads_the_best_so_far() -> None:
    mixer = SparseKAttention(4, heads=1, k=2, slots=5, base=None).double()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        mixer.score.weight.mul_(2)
    length = CHUNK + 9
    x = torch.randn(1, length, 4, dtype=torch.float64, generator=rng)
    q, k, v = (y[0, 0] for y in mixer.qkv(x, None, 1))
    u = mixer.score(x)[0, :, 0]
    rows = torch.zeros_like(v)
    for t in range(length):
        best = u[: t + 1].topk(min(5, t + 1)).indices
        p = sparsek(u[None, best], torch.ones(1, 1, len(best), dtype=torch.bool), 2)[0, 0]
        inside = best[p > 1e-6]
        weights = (k[inside] @ q[t] / math.sqrt(4)).softmax(0)
        rows[t] = (weights * p[p > 1e-6]) @ v[inside]
    torch.testing.assert_close(mixer(x)[0], mixer.o(rows), rtol=0, atol=1e-12)
