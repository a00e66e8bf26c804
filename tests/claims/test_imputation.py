"""SAITS against its twin: what the data are, what the arms differ in, and what would refute the exact part."""

from __future__ import annotations

import math

import pytest
import torch

from sequary.claims import imputation
from sequary.claims.experiments import claim_of

DATA = {"channels": 8, "sources": 4, "noise": 0.1, "context": 12, "missing": (0.3, 0.6), "block": 8.0}
SMALL = {
    "data": DATA,
    "system": {
        "dim": 16,
        "model__first__depth": 1,
        "model__second__depth": 1,
        "stages__0__train__steps": 4,
    },
    "grid": {"stages__0__train__lr": (3e-3,)},
}


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imputation, "ROWS", {"train": 64, "validation": 32, "test": 64})


def test_the_data_are_as_the_settings_say() -> None:
    data = imputation.sines(DATA, 0, "test")
    assert data.truth.shape == (64, 12, 8)
    assert float(data.truth.std()) == pytest.approx(1)
    missing = (~data.observed).float().mean((1, 2))
    assert float(missing[0::4].mean()) == pytest.approx(0.3, abs=0.05)
    assert float(missing[2::4].mean()) == pytest.approx(0.6, abs=0.05)
    same = (data.observed[:, 1:] == data.observed[:, :-1]).float().mean((1, 2))
    assert same[data.blocks].mean() > same[~data.blocks].mean() + 0.2
    assert torch.linalg.matrix_rank(torch.corrcoef(data.truth.flatten(0, 1).T), tol=0.2) <= 5  # four sources
    again, other = imputation.sines(DATA, 0, "test"), imputation.sines(DATA, 1, "test")
    assert torch.equal(again.truth, data.truth)
    assert not torch.equal(other.truth, data.truth)
    batch = data.batch(torch.arange(3))
    assert batch.observed is not None
    assert not batch.values[~batch.observed].any()  # the truth stays away


def test_a_tiny_trial_and_the_arms_change_places() -> None:
    claim = claim_of("saits", SMALL)
    chosen = imputation.tune("saits", claim)
    found = imputation.trial("saits", claim, 0, chosen)
    assert not found.broken
    assert found.floor is not None
    assert all(map(math.isfinite, (found.system, found.baseline, found.floor, *found.also.values())))
    keys = claim.settings["baseline"]
    swapped = claim_of(
        "saits", {**SMALL, "system": {**SMALL["system"], **keys}, "baseline": dict.fromkeys(keys, False)}
    )
    other = imputation.trial("saits", swapped, 0, chosen)
    assert (other.system, other.baseline) == (found.baseline, found.system)
    assert "a step gives itself weight" in other.broken


def test_both_arms_have_the_same_weights() -> None:
    sizes = [
        sum(p.numel() for p in recipe.build().parameters())
        for recipe in imputation.arms("saits", claim_of("saits", SMALL)).values()
    ]
    assert sizes[0] == sizes[1]


def test_interpolation_by_hand() -> None:
    truth = torch.tensor([[[0.0, 5.0], [1.0, 6.0], [4.0, 7.0]]])
    observed = torch.tensor([[[True, False], [False, False], [True, False]]])
    data = imputation.Sines(truth, observed, torch.tensor([True]))
    assert imputation.interpolated(data).tolist() == [[[0, 0], [2, 0], [4, 0]]]
    assert imputation.error(imputation.interpolated(data), data, torch.tensor([True])) == pytest.approx(19 / 4)
