"""The exact claim of separate maps: where it holds, and a mixer that breaks it."""

from __future__ import annotations

import pytest

from sequary.claims import own_maps
from sequary.claims.experiments import claim_of


def test_separate_maps_hold_their_marks() -> None:
    trial = own_maps.trial("ulsam", claim_of("ulsam"), 0, {})
    assert not trial.broken
    assert trial.system > 0.95
    assert trial.baseline < 0.4


def test_maps_that_read_other_groups_break_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = own_maps.built
    monkeypatch.setattr(own_maps, "built", lambda dim, groups: made(dim, 1))
    assert "gradient" in own_maps.trial("ulsam", claim_of("ulsam"), 0, {}).broken


def test_too_many_marks_are_refused() -> None:
    with pytest.raises(ValueError, match="use a larger side"):
        own_maps.trial("ulsam", claim_of("ulsam", {"side": 4}), 0, {})
