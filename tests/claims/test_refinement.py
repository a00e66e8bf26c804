"""The claim of the energy-based model: loss by step, energies of right and wrong bytes, a tiny trial."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sequary.claims import refinement as r
from sequary.claims import text
from sequary.claims.experiments import claim_of
from sequary.core.card import Claim
from sequary.models.energy import EnergyModel
from sequary.tasks.language.train import Bytes, prepare

TINY = {
    "dim": 16,
    "model__backbone__depth": 1,
    "stages__0__train__batch": 8,
    "stages__0__train__steps": 60,
    "stages__0__train__lr": 1e-2,
    "stages__0__train__patience": None,
}


def alternating(count: int) -> Bytes:
    """Two letters in turn."""
    return (97 + np.arange(count) % 2).astype(np.uint8)


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch) -> Claim:
    def shakespeare() -> tuple[Bytes, Bytes]:
        return alternating(2000), alternating(400)

    monkeypatch.setattr(text, "shakespeare", shakespeare)
    monkeypatch.setattr(r, "shakespeare", shakespeare)
    return claim_of("ebwm-ebt", {"context": 16, "train": TINY, "judged": 300, "separated": 0.9})


def test_arms_are_as_large_as_each_other() -> None:
    claim = claim_of("ebwm-ebt")
    sizes = {
        name: sum(p.numel() for p in prepare(recipe, context=64).build().parameters())
        for name, recipe in r.arms("ebwm-ebt", claim).items()
    }
    assert sizes["system"] == pytest.approx(sizes["transformer"], rel=0.05)


def test_an_energy_that_is_told_the_truth_separates_and_one_that_is_blind_does_not(claim: Claim) -> None:
    """The energy −(candidate · what follows each letter), put in by hand."""

    class Told(EnergyModel):
        sharp: float = 1.0

        def energy(self, batch: r.Batch, candidate_BSV: torch.Tensor) -> torch.Tensor:
            assert batch.target is not None
            return -candidate_BSV.gather(-1, batch.target[..., None])[..., 0] * self.sharp

    recipe = prepare(r.arms("ebwm-ebt", claim)["system"].but(dim=16, model__backbone__depth=1), context=16)
    told = Told(16, vocab=256, backbone=recipe.model.get("backbone"))
    assert r.separated(told, claim, 0) == 1.0
    told.sharp = 0.0
    assert r.separated(told, claim, 0) == 0.5
    told.sharp = -1.0
    assert r.separated(told, claim, 0) == 0.0


def test_trial(claim: Claim) -> None:
    found = r.trial("ebwm-ebt", claim, 0, r.tune("ebwm-ebt", claim))
    steps = [found.also[f"after_step_{i}"] for i in range(3)]
    assert found.system == steps[-1]
    assert found.baseline == steps[1]
    assert found.floor == pytest.approx(1.0, abs=0.2)
    assert steps[0] > 7
    assert all(math.isfinite(x) for x in found.also.values())
    falls = steps[0] > steps[1] > steps[2]
    assert bool(found.broken) == (not falls or found.also["separated"] < 0.9)
