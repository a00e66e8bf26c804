"""Multi-DConv-head attention against a loop written from the paper, and what it reads of the past."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sequary.mixers.attention.multi_dconv import MultiDConvAttention


def built(taps: int = 3) -> MultiDConvAttention:
    torch.manual_seed(0)
    return MultiDConvAttention(8, heads=2, base=None, taps=taps).double()


def convolved(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """[T, D]: each channel over the current row and the two before it."""
    out = torch.zeros_like(rows)
    for t in range(len(rows)):
        out[t] = bias
        for back in range(weight.shape[1]):
            if t >= back:
                out[t] += weight[:, -1 - back] * rows[t - back]
    return out


def test_it_is_the_papers_loop() -> None:
    mixer, x = built(), torch.randn(1, 6, 8, dtype=torch.float64)
    kernels, offsets = mixer.conv.weight.chunk(3), mixer.conv.get_parameter("bias").chunk(3)
    maps = [mixer.qkv.get_parameter(f"{n}.weight") for n in "qkv"]
    q, k, v = (convolved(x[0] @ w.T, c, b) for w, c, b in zip(maps, kernels, offsets, strict=True))
    out = torch.zeros(6, 8, dtype=torch.float64)
    for head in (slice(0, 4), slice(4, 8)):
        for t in range(6):
            scores = torch.stack([q[t, head] @ k[s, head] / math.sqrt(4) for s in range(t + 1)])
            out[t, head] = scores.softmax(0) @ v[: t + 1, head]
    torch.testing.assert_close(mixer(x)[0], out @ mixer.o.weight.T, rtol=0, atol=1e-12)


def test_one_tap_of_weight_one_is_plain_attention_whose_last_step_reads_no_order_of_the_past() -> None:
    mixer, x = built(taps=1), torch.randn(1, 6, 8, dtype=torch.float64)
    mixed = torch.cat((x[:, [4, 2, 0, 3, 1]], x[:, 5:]), 1)
    torch.testing.assert_close(mixer(x)[:, -1], mixer(mixed)[:, -1], rtol=0, atol=1e-12)
    three = built()
    assert (three(x)[:, -1] - three(mixed)[:, -1]).abs().max() > 1e-3
