"""Bits per byte of a recipe and of its twin with another block."""

from __future__ import annotations

import math

import pytest

from sequary.claims import twin_text
from sequary.claims.experiments import claim_of
from tests.claims.speech import spoken

TRAIN = {"dim": 16, "model__backbone__depth": 1, "stages__0__train__steps": 3, "stages__0__train__batch": 4}
TINY = {"train": TRAIN, "context": 16, "judged": 100, "beside": ("primer-dconv",), "apart": 0.2}
TINY |= {"grid": {"stages__0__train__lr": (1e-2,)}}


def test_a_tiny_trial_is_finite_and_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken(monkeypatch)
    claim = claim_of("primer", TINY)
    chosen = twin_text.tune("primer", claim)
    one, two = (twin_text.trial("primer", claim, 1, chosen) for _ in range(2))
    assert one == two
    assert set(one.also) == {"primer-dconv"}
    assert len({one.system, one.baseline, one.also["primer-dconv"]}) == 3
    assert math.isfinite(one.system)


def test_unequal_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="give them widths of equal sizes"):
        twin_text.arms("primer", claim_of("primer", {**TINY, "apart": 1e-4}))
