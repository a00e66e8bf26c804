"""The claim of VAR: scales against raster at equal time."""

from __future__ import annotations

import math

import pytest
import torch

from sequary.claims import sample_quality
from sequary.claims.digits import built, digits, made
from sequary.claims.experiments import claim_of
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.models.tokenized import tokenized
from tests.claims.small_digits import replace


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch) -> Claim:
    replace(monkeypatch)
    settings: dict[str, object] = {"rates": (3e-3,), "guidance": (1.0, 2.0), "samples": 80}
    for arm, slug in (("system", "var"), ("twin", "raster-codes")):
        recipe = load(slug).recipe
        assert recipe is not None
        settings[arm] = dict(recipe.tiny) | {f"stages__{i}__train__steps": 10 for i in (0, 1)}
    return claim_of("var", settings)


def test_the_twin_has_the_coder_of_the_system_and_the_system_passes_by_scale(claim: Claim) -> None:
    system, twin = sample_quality.arms("var", claim)
    assert system.model.get("tokenizer").get("coder") == twin.model.get("tokenizer").get("coder")
    calls = [made(built(r, 0), sample_quality.decoder(r, 1.5), 20, 0)[2] for r in (system, twin)]
    assert calls == [3, 9]


def test_default_priors_of_both_arms_match_in_size() -> None:
    sizes: list[int] = []
    for slug in ("var", "raster-codes"):
        recipe = load(slug).recipe
        assert recipe is not None
        model = tokenized(recipe.bind({"channels": 1, "classes": 10}).build())
        sizes.append(sum(p.numel() for p in model.prior.parameters()))
    assert abs(sizes[0] - sizes[1]) < 0.05 * sizes[0]


def test_a_trial_gives_finite_distances_and_real_images_are_nearer(claim: Claim) -> None:
    chosen = sample_quality.tune("var", claim)
    assert chosen["system"]["steps"] == 10
    assert chosen["twin"]["steps"] > 0
    assert chosen["system"]["guidance"] in (1.0, 2.0)
    trial = sample_quality.trial("var", claim, 0, chosen)
    assert trial.broken == ""
    assert trial.floor is not None
    assert all(map(math.isfinite, (trial.system, trial.baseline, trial.floor)))
    real = digits()[0].batch(torch.arange(200)).values
    assert sample_quality.apart(real, 1) < min(trial.system, trial.baseline)
