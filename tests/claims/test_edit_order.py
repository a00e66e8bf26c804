"""Edits that look against edits that do not: one trained model, equal size, and the input model left alone."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from sequary.claims import edit_order
from sequary.claims.experiments import claim_of
from sequary.claims.text import learnt
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.tasks.language.train import Fitted
from tests.claims.speech import spoken

SLUGS = ("head-pruning-michel", "lorap")
ARMS = {"head-pruning-michel": edit_order.pruned, "lorap": edit_order.factorised}


def tiny(slug: str, **changes: Any) -> Claim:
    train = {"dim": 16, "model__backbone__depth": 2, "stages__0__train__steps": 40, "stages__0__train__batch": 8}
    settings = {"train": {**train, "stages__0__train__lr": 1e-2}, "context": 16, "judged": 200, "calibration": 8}
    return claim_of(slug, {**settings, **({"draws": 2} if slug == SLUGS[0] else {}), **changes})


def trained(slug: str, claim: Claim) -> Fitted:
    recipe = load(slug).recipe
    assert recipe is not None
    return learnt(claim, recipe, 0)


@pytest.mark.parametrize("slug", SLUGS)
def test_both_arms_are_of_one_size_smaller_and_leave_the_model_alone(
    slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken(monkeypatch, edit_order)
    claim = tiny(slug)
    base = trained(slug, claim)
    before = {n: t.clone() for n, t in base.model.state_dict().items()}
    system, twins = ARMS[slug](claim, base, edit_order.calibration(claim, base, 0), 0)
    sizes = {edit_order.parameters(m) for m in (system, *twins)}
    assert len(sizes) == 1
    assert sizes.pop() < edit_order.parameters(base.model)
    assert all(torch.equal(before[n], t) for n, t in base.model.state_dict().items())
    assert any(
        not torch.equal(a, b) for a, b in zip(system.state_dict().values(), twins[0].state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("slug", SLUGS)
def test_a_tiny_trial_is_finite_and_repeats(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken(monkeypatch, edit_order)
    claim = tiny(slug)
    one, two = (edit_order.trial(slug, claim, 1, {}) for _ in range(2))
    assert one == two
    assert one.floor is not None
    assert all(math.isfinite(x) for x in (one.system, one.baseline, one.floor))
    assert 0 < one.also["kept"] < 1


def test_full_rank_changes_nothing_and_the_weighted_arm_has_the_least_weighted_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoken(monkeypatch, edit_order)
    claim = tiny("lorap")
    base = trained("lorap", claim)
    seen = edit_order.calibration(claim, base, 0)
    whole = edit_order.factorised(tiny("lorap", keep=3.0), base, seen, 0)
    batch = seen[0]
    for model in (whole[0], *whole[1]):
        assert (model(batch).hidden - base.model(batch).hidden).abs().max() < 1e-3
    system, (plain,) = edit_order.factorised(claim, base, seen, 0)
    with edit_order.sizes(base.model) as squares, torch.no_grad():
        for some in seen:
            base.model(some)
    name = "backbone.blocks.0.parts.0.o"
    size, w = squares[name].sqrt(), base.model.state_dict()[f"{name}.weight"]
    errors = []
    for model in (system, plain):
        left, right = (model.state_dict()[f"{name}.{side}.weight"] for side in ("left", "right"))
        errors.append((float(((w - left @ right) * size).norm()), float((w - left @ right).norm())))
    (weighted_ours, plain_ours), (weighted_theirs, plain_theirs) = errors
    assert weighted_ours < weighted_theirs
    assert plain_ours > plain_theirs


def test_random_heads_leave_each_layer_one_and_differ_by_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken(monkeypatch, edit_order)
    claim = tiny("head-pruning-michel", draws=4)
    base = trained("head-pruning-michel", claim)
    _, twins = edit_order.pruned(claim, base, edit_order.calibration(claim, base, 0), 0)
    widths = [[m.heads for m in edit_order.attentions(twin)] for twin in twins]
    assert all(sum(w) == 8 and min(w) >= 1 for w in widths)
    first = [t.state_dict()["backbone.blocks.0.parts.0.o.weight"] for t in twins]
    assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in itertools.pairwise(first))
