"""How many statistical top-k keeps, and which."""

from __future__ import annotations

import pytest
import torch

from sequary.core.ctx import Ctx, Tape
from sequary.mixers.attention.spark import SparkAttention
from sequary.mixers.mlp.spark import SparkMLP
from sequary.ops.statistical_topk import soft_top_k, top_keys


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("active", [0.02, 0.08, 0.5])
def test_of_normal_scores_the_share_asked_for_acts(active: float) -> None:
    quantile = torch.special.ndtri(torch.tensor(1 - active, dtype=torch.float64)).item()
    scores = 3 + 2 * normal(50, 4000)
    assert (soft_top_k(scores, quantile) > 0).double().mean().item() == pytest.approx(active, rel=0.1)


def test_what_is_kept_is_what_is_largest() -> None:
    scores = normal(4, 100)
    kept = top_keys(scores, torch.ones_like(scores, dtype=torch.bool), 10)
    assert (kept.sum(-1) > 4).all()
    assert (kept.sum(-1) < 17).all()
    for row, keep in zip(scores, kept, strict=True):
        assert row[keep].min() > row[~keep].max()


def test_statistics_are_of_the_allowed_scores_alone() -> None:
    scores, allowed = normal(3, 40), torch.arange(40).expand(3, -1) < 30
    other = torch.where(allowed, scores, 1e3)
    kept = top_keys(scores, allowed, 5)
    assert torch.equal(kept, top_keys(other, allowed, 5))
    assert torch.equal(kept[:, :30], top_keys(scores[:, :30], allowed[:, :30], 5))
    assert not kept[:, 30:].any()


@pytest.mark.parametrize("count", [1, 4, 5])
def test_few_keys_are_all_kept_and_equal_ones_never_none(count: int) -> None:
    scores = normal(2, count)
    assert top_keys(scores, torch.ones_like(scores, dtype=torch.bool), 5).all()
    same = torch.full((2, 50), 0.1, dtype=torch.float64)
    assert top_keys(same, torch.ones_like(same, dtype=torch.bool), 5).any(-1).all()
    nothing = torch.zeros_like(same, dtype=torch.bool)
    assert not top_keys(same, nothing, 5).any()


def test_the_mixers_are_as_sparse_as_they_say() -> None:
    torch.manual_seed(0)
    tape = Tape("active", "attention")
    x, ctx = normal(2, 200, 32).float(), Ctx(tape=tape)
    SparkMLP(32, active=0.08, hidden=2000)(x, ctx)
    SparkAttention(32, heads=2, keys=20)(x, ctx)
    assert tape.entries["active"][0].float().mean().item() == pytest.approx(0.08, rel=0.1)
    last = (tape.entries["attention"][0][:, :, -50:] > 0).sum(-1).float()
    assert last.mean().item() == pytest.approx(20, rel=0.25)
