"""The claim of TST: arms that differ in their first stage alone, a tiny trial on tones in place of digits."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sequary.claims import classification
from sequary.claims.experiments import claim_of
from sequary.claims.judging import Trial, judge
from sequary.core.card import Claim
from sequary.data.roles import Columns
from sequary.objectives.classify import Classify
from sequary.objectives.masked_values import MaskedValues, spans
from sequary.tasks.classify.reading import read
from tests.tasks.classify.gestures import recorded

TINY = {
    "dim": 16,
    "model__backbone__depth": 1,
}


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Claim:
    data, _ = read(str(recorded(tmp_path, 90)), Columns())
    monkeypatch.setattr(classification, "digits", lambda: data)
    return claim_of(
        "tst-mvts",
        {"labels": 12, "validation": 20, "test": 40, "context": 8, "steps": (20, 40), "train": TINY, "grid": (3e-3,)},
    )


def test_arms_differ_in_the_first_stage_alone(claim: Claim) -> None:
    arms = classification.arms("tst-mvts", claim)
    assert {name: len(recipe.stages) for name, recipe in arms.items()} == {
        "system": 2,
        "baseline": 1,
        "longer": 1,
        "single": 2,
    }
    assert len({recipe.model for recipe in arms.values()}) == 1
    assert all(isinstance(recipe.stages[-1].objective, Classify) for recipe in arms.values())
    assert arms["baseline"].stages[-1] == arms["system"].stages[-1]
    assert arms["longer"].stages[-1].train.steps == 60


def test_single_entries_are_masked_independently(claim: Claim) -> None:
    objective = classification.arms("tst-mvts", claim)["single"].stages[0].objective
    assert isinstance(objective, MaskedValues)
    rng = torch.Generator().manual_seed(0)
    masked = spans(200, 100, 2, rate=objective.rate, mean=objective.span, rng=rng).double()
    pairs = (masked[:, 1:] * masked[:, :-1]).mean()
    assert abs(masked.mean() - objective.rate) < 0.01
    assert abs(pairs - objective.rate**2) < 0.005  # spans of mean 3 give 0.1


def test_parts_share_no_series_and_each_class_is_learnt_from(claim: Claim) -> None:
    found = classification.parts(claim.settings, 0)
    assert [len(part) for part in (found.learnt, found.validation, found.test)] == [12, 20, 40]
    assert np.bincount(found.learnt.target).tolist() == [4, 4, 4]
    rows = torch.cat([part.values.flatten(1) for part in (found.learnt, found.validation, found.test)])
    assert len(torch.unique(rows, dim=0)) == 72
    again = classification.parts(claim.settings, 1)
    assert (again.learnt.values != found.learnt.values).any()


def test_trial(claim: Claim) -> None:
    chosen = classification.tune("tst-mvts", claim)
    assert set(chosen.values()) == {3e-3}
    found = classification.trial("tst-mvts", claim, 0, chosen)
    assert found.floor == 1 / 3
    assert 0.4 < found.system <= 1
    assert found.baseline == max(found.also["baseline"], found.also["longer"])
    assert all(math.isfinite(value) for value in found.also.values())
    assert found.also["loss_spans"] != found.also["loss_single"]


def test_the_verdict_follows_the_better_baseline() -> None:
    trials = [Trial(seed, 0.8 + seed / 100, 0.7, 0.1) for seed in range(3)]
    swapped = [Trial(t.seed, t.baseline, t.system, t.floor) for t in trials]
    assert judge(claim_of("tst-mvts"), trials)[0] == "holds"
    assert judge(claim_of("tst-mvts"), swapped)[0] == "does not hold at this scale"
