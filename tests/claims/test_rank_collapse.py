"""The fall of the residual: accelerating without skips, not with them, and found where the arms are exchanged."""

from __future__ import annotations

import pytest
import torch

from sequary.claims import rank_collapse
from sequary.claims.experiments import claim_of
from sequary.claims.judging import judge

SLUG = "attention-rank-collapse"


def test_attention_alone_accelerates_and_skips_do_not() -> None:
    claim = claim_of(SLUG)
    trials = [rank_collapse.trial(SLUG, claim, seed, {}) for seed in range(3)]
    assert judge(claim, trials)[0] == "holds"
    for t in trials:
        assert t.system > 2
        assert abs(t.baseline) < 0.1
        assert t.also["log10_after_two_fed"] < t.also["log10_after_two_alone"] < t.also["log10_after_two_gained"]


def test_both_arms_have_the_same_parts() -> None:
    alone, skips, fed = (r.build() for r in rank_collapse.arms(SLUG, claim_of(SLUG)))
    sizes = [sum(p.numel() for p in model.parameters()) for model in (alone, skips, fed)]
    assert sizes[0] == sizes[1] < sizes[2]


def test_exchanged_arms_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_of(SLUG)
    alone, skips, fed = rank_collapse.arms(SLUG, claim)
    monkeypatch.setattr(rank_collapse, "arms", lambda *_: (skips, alone, fed))
    found = rank_collapse.trial(SLUG, claim, 0, {})
    assert "not more with each layer" in found.broken
    assert found.system < found.baseline


def test_feed_forwards_that_do_not_amplify_are_found() -> None:
    assert "feed-forwards with gain 1" in rank_collapse.trial(SLUG, claim_of(SLUG, {"gain": 1.0}), 0, {}).broken


def test_layers_below_rounding_do_not_count() -> None:
    lost = rank_collapse.decades(torch.tensor([1.0, 1e-1, 1e-4, 1e-15, 2e-16, 3e-16], dtype=torch.float64))
    assert lost.tolist() == pytest.approx([1.0, 3.0, 11.0])
    assert rank_collapse.acceleration(lost) == pytest.approx(5.0)
    assert rank_collapse.acceleration(torch.tensor([0.1, 0.1, 0.1])) == 0
