"""Attention with scores of other kinds, against the formulas written out."""

from __future__ import annotations

import math

import pytest
import torch

from sequary.core.ctx import Ctx
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.neural import NeuralAttention
from sequary.mixers.attention.pathways import PathwayAttention, pathways
from sequary.mixers.attention.polar import PolarAttention
from sequary.mixers.attention.scales import MultiScaleAttention

X = torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PAST = torch.ones(9, 9, dtype=torch.bool).tril()


def test_phases_left_as_they_are_give_rotary_attention() -> None:
    torch.manual_seed(0)
    polar, rotary = PolarAttention(8, heads=2).double(), CausalAttention(8, heads=2).double()
    rotary.load_state_dict({k: v for k, v in polar.state_dict().items() if k.startswith(("qkv", "o."))})
    torch.testing.assert_close(polar(X), rotary(X))


def test_polar_scores_are_the_cosines_of_scaled_differences() -> None:
    torch.manual_seed(0)
    mixer = PolarAttention(8, heads=2).double()
    with torch.no_grad():
        for weight in (mixer.scale, mixer.turn, mixer.shift):
            weight += 0.3 * torch.randn_like(weight)
    q, k, v = mixer.qkv(X, None, 2)
    (q_re, q_im), (k_re, k_im) = q.chunk(2, -1), k.chunk(2, -1)
    rate = 10_000.0 ** (-torch.arange(2).double() / 2)
    scores = torch.zeros(2, 2, 9, 9, dtype=torch.float64)
    for t in range(9):
        for s in range(9):
            phase = torch.atan2(q_im[:, :, t], q_re[:, :, t]) - torch.atan2(k_im[:, :, s], k_re[:, :, s])
            angle = mixer.scale[:, 0] * phase + mixer.shift[:, 0] + mixer.turn[:, 0] * rate * (t - s)
            size = torch.hypot(q_re[:, :, t], q_im[:, :, t]) * torch.hypot(k_re[:, :, s], k_im[:, :, s])
            scores[:, :, t, s] = (size * angle.cos()).sum(-1) / 2
    mixed = scores.masked_fill(~PAST, -math.inf).softmax(-1) @ v
    torch.testing.assert_close(mixer(X), mixer.o(mixed.transpose(1, 2).flatten(2)))


def test_neural_scores_are_a_network_on_both_tokens() -> None:
    torch.manual_seed(0)
    mixer = NeuralAttention(8, heads=2, units=3).double()
    a, c, v = (f(X).unflatten(-1, (2, -1)).transpose(1, 2) for f in (mixer.q, mixer.k, mixer.v))
    scores = torch.stack([(mixer.w[:, None] * (a[:, :, t, None] + c).relu()).sum(-1) for t in range(9)], 2)
    mixed = scores.masked_fill(~PAST, -math.inf).softmax(-1) @ v
    torch.testing.assert_close(mixer(X), mixer.o(mixed.transpose(1, 2).flatten(2)))


def test_scales_without_bounds_are_full_attention_and_refuse_what_has_no_window() -> None:
    torch.manual_seed(0)
    scales, full = MultiScaleAttention(8, reaches=(None, None)).double(), Attention(8, heads=2).double()
    full.load_state_dict(scales.state_dict())
    torch.testing.assert_close(scales(X), full(X))
    with pytest.raises(ValueError, match="use 0"):
        MultiScaleAttention(8, reaches=(-1, None))


def test_a_drawn_part_of_the_keys_is_attention_under_that_mask() -> None:
    torch.manual_seed(0)
    mixer = PathwayAttention(8, heads=2, share=0.4).double()
    with pathways(mixer):
        found = mixer(X, Ctx(rng=torch.Generator().manual_seed(3)))
    keys = torch.randperm(9, generator=torch.Generator().manual_seed(3))[:4]  # ⌈0.4 · 9⌉
    q, k, v = mixer.project(X, torch.arange(9).expand(2, -1))
    sees = torch.zeros(9, 9, dtype=torch.bool)
    sees[:, keys] = PAST[:, keys]
    shares = (q @ k.mT / 2).masked_fill(~sees, -math.inf).softmax(-1).nan_to_num()
    torch.testing.assert_close(found, mixer.o((shares @ v).transpose(1, 2).flatten(2)))
    assert not torch.allclose(mixer(X), found)  # and dense again afterwards
