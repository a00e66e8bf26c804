"""Sums over lags, gated look-ups, and how far they see."""

from __future__ import annotations

import torch

from sequary.backbones.stack import Stack
from sequary.blocks.gated_sum import GatedSum
from sequary.blocks.prenorm import PreNorm
from sequary.claims.exact import reads
from sequary.core.part import part
from sequary.mixers.conv.adjusted import Adjusted
from sequary.mixers.conv.lags import MatrixLags, NumberLags
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.memory_bank import MemoryBank

X = torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_an_extractor_is_a_sum_over_lags_times_an_adjustment() -> None:
    torch.manual_seed(0)
    mixer = Adjusted(8, inner=part(MatrixLags, taps=3)).double()
    w = mixer.inner.get_parameter("w.weight").unflatten(1, (3, 8))  # oldest first
    y = mixer.inner.get_parameter("w.bias").expand_as(X).clone()
    for t in range(9):
        for lag in range(min(3, t + 1)):
            y[:, t] = y[:, t] + X[:, t - lag] @ w[:, 2 - lag].T
    torch.testing.assert_close(mixer(X), y * mixer.adjust(X))


def test_one_number_a_lag_is_a_vector_of_equal_numbers() -> None:
    torch.manual_seed(0)
    number, vector = NumberLags(8, taps=4).double(), ShortConv(8, taps=4).double()
    vector.load_state_dict({"weight": number.weight.expand(8, -1), "bias": number.get_parameter("bias")})
    torch.testing.assert_close(number(X), vector(X))


def test_a_memory_bank_carries_nothing_between_tokens() -> None:
    """depth · (taps − 1) + 1 tokens are in sight, and each of them is seen."""
    torch.manual_seed(0)
    mixer = part(GatedSum, parts=(part(ShortConv, taps=3), part(MemoryBank, slots=5)))
    stack = Stack(8, depth=2, blocks=(part(PreNorm, parts=(mixer, part(MLP))),)).double()
    back = torch.arange(9)[:, None] - torch.arange(9)
    assert torch.equal(reads(lambda x: stack(x)[0].x, X[:1], seed=0) > 0, (back >= 0) & (back <= 4))
