"""Attention by groups of keys and at two resolutions, against the weights written out; and their exact limits."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.attention.grouped_keys import GroupAttention, group_attend, kmeans
from sequary.mixers.attention.multiresolution import MultiresolutionAttention
from sequary.ops.attend import attend


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_every_key_is_taken_for_the_mean_of_its_group() -> None:
    q, k, v = (normal(1, 1, 9, 4, seed=s) for s in range(3))
    group = torch.tensor([[[0, 0, 2, 1, 2, 0, 1, 1, 3]]])  # 3: none
    taken = k.clone()
    for j in range(3):
        taken[0, 0, group[0, 0] == j] = k[0, 0, group[0, 0] == j].mean(0)
    expected = attend(q, taken[:, :, :8], v[:, :, :8])
    torch.testing.assert_close(group_attend(q, k, v, group, 3), expected, rtol=0, atol=1e-12)


def test_kmeans_finds_groups_far_apart() -> None:
    true = torch.arange(20) % 4
    k = (10 * torch.eye(4, dtype=torch.float64)[true] + 0.1 * normal(20, 4))[None, None]
    found = kmeans(k, torch.ones(1, 20, dtype=torch.bool), 4, 3)[0, 0]
    assert torch.equal(found[:, None] == found, true[:, None] == true)


def test_as_many_groups_as_keys_is_full_attention() -> None:
    mixer, x = GroupAttention(8, heads=2, groups=7).double(), normal(2, 7, 8)
    full = attend(*mixer.qkv(x, None, 2)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(mixer(x), mixer.o(full), rtol=0, atol=1e-12)


def test_blocks_are_exact_or_one_number() -> None:
    mixer, x = MultiresolutionAttention(4, heads=1, block=3, refined=1).double(), normal(1, 10, 4)
    q, k, v = (y[0, 0].detach() for y in mixer.qkv(x, None, 1))
    blocks = [range(i, min(i + 3, 10)) for i in range(0, 10, 3)]
    rows = torch.zeros_like(v)
    for own in blocks:
        coarse = [float(q[list(own)].mean(0) @ k[list(b)].mean(0)) / math.sqrt(4) for b in blocks]
        likeliest = coarse.index(max(coarse))
        for t in own:
            scores = torch.zeros(10, dtype=torch.float64)
            for i, b in enumerate(blocks):
                scores[list(b)] = k[list(b)] @ q[t] / math.sqrt(4) if i == likeliest else coarse[i]
            rows[t] = scores.softmax(0) @ v
    torch.testing.assert_close(mixer(x)[0], mixer.o(rows), rtol=0, atol=1e-12)


def test_all_blocks_refined_is_full_attention() -> None:
    mixer, x = MultiresolutionAttention(8, heads=2, block=3, refined=4).double(), normal(2, 10, 8)
    full = attend(*mixer.qkv(x, None, 2)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(mixer(x, Ctx()), mixer.o(full), rtol=0, atol=1e-12)
