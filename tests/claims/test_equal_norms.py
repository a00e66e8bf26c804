"""The exact claim of norms without a mean: it holds at a tiny size, and says so where it is broken."""

from __future__ import annotations

import pytest

from sequary.claims import equal_norms
from sequary.claims.experiments import claim_of

TINY = {"dim": 8, "depth": 2, "heads": 2, "vocab": 7, "rows": 2, "tokens": 6, "steps": 3}


def test_it_holds_at_a_tiny_size() -> None:
    trial = equal_norms.trial("pre-crmsnorm", claim_of("pre-crmsnorm", TINY), 0, {})
    assert not trial.broken
    assert trial.system < 1e-10 < 1e-2 < trial.baseline
    assert trial.also["training"] < 1e-10


def test_training_without_the_centring_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equal_norms, "centred", dict)
    trial = equal_norms.trial("pre-crmsnorm", claim_of("pre-crmsnorm", TINY), 0, {})
    assert trial.broken.startswith("errors")
