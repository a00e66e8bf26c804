"""Claims on images: marks are what they say, arms weigh the same, an unfair arm is found; shifts without anchors are found."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from sequary.claims import image_classes, shift_invariance, steps_to_learn
from sequary.claims.experiments import claim_of
from sequary.claims.forecast_gain import DataMissing
from sequary.core.card import Claim


def small(slug: str, **settings: Any) -> Claim:
    claim = claim_of(slug)
    return dataclasses.replace(claim, settings={**claim.settings, **settings})


def test_half_of_the_pairs_are_of_one_kind() -> None:
    found = image_classes.marks(400, 16, 2, torch.Generator().manual_seed(0))
    bright = (found.pixels > 0).float()
    assert 0.4 < found.labels.float().mean() < 0.6
    first, second = bright[:, 0, :8, :8].sum((1, 2)), bright[:, 0, 8:, 8:].sum((1, 2))
    assert torch.equal(bright.sum((1, 2, 3)), first + second)
    assert ((first - second).abs() > 2).float().mean() < 0.1  # nothing but the shape tells kinds apart


@pytest.mark.parametrize("slug", ["van-lka", "mamba-nd", "sret"])
def test_arms_weigh_the_same_and_learn(slug: str) -> None:
    claim = claim_of(slug)
    sizes = [sum(p.numel() for p in r.build().parameters()) for r in image_classes.arms(slug, claim).values()]
    assert abs(sizes[0] - sizes[1]) <= 0.05 * sizes[1]


def test_steps_are_counted_until_the_loss_is_reached() -> None:
    train = {
        **claim_of("van-lka").settings["train"],
        "stages__0__train__steps": 4,
        "stages__0__train__evaluate_every": 2,
    }
    recipe = image_classes.arms("van-lka", claim := small("van-lka", learnt=64, choose=20, train=train))["system"]
    assert (
        steps_to_learn.needed(dataclasses.replace(claim, settings={**claim.settings, "until": 99.0}), recipe, 1e-3, 0)[
            0
        ]
        == 2
    )
    assert (
        steps_to_learn.needed(dataclasses.replace(claim, settings={**claim.settings, "until": 0.0}), recipe, 1e-3, 0)[0]
        == 5
    )


def test_a_heavier_arm_is_found() -> None:
    train = {**claim_of("sret").settings["train"], "stages__0__train__steps": 1}
    claim = small("sret", learnt=32, choose=1, test=32, train=train, recipes={"baseline": "ONCE"})
    try:
        broken = image_classes.trial("sret", claim, 0, {"system": 1e-3, "baseline": 1e-3}).broken
    except DataMissing as error:
        pytest.skip(str(error))
    assert "the arms differ by" in broken


def test_shifts_change_nothing_with_anchors() -> None:
    slug = "polyphase-anchored-vit"
    claim = small(slug, images=2, shifts=2, dim=16)
    found = shift_invariance.trial(slug, claim, 0, {})
    assert found.broken == ""
    assert found.system < 1e-9 < 1e-3 < found.baseline
    assert found.also["consistent"] == 1.0


def test_a_shift_that_moves_the_logits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    slug = "polyphase-anchored-vit"
    plain = shift_invariance.load(slug).module.PLAIN
    monkeypatch.setattr(shift_invariance.load(slug).module, "RECIPE", plain)
    assert (
        "a shift moves the logits"
        in shift_invariance.trial(slug, small(slug, images=2, shifts=1, dim=16), 0, {}).broken
    )
