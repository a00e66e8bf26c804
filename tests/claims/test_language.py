"""Bits per byte with a mixer without parameters, without any mixer, and with attention everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sequary.claims import language, text
from sequary.claims.experiments import claim_of
from sequary.claims.forecast_gain import DataMissing
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.identity import Identity
from sequary.mixers.spectral.causal_fourier import CausalFourier
from tests.claims.speech import spoken

TRAIN = {"dim": 16, "model__backbone__depth": 2, "stages__0__train__steps": 4, "stages__0__train__batch": 4}
TINY = {"train": TRAIN, "context": 16, "judged": 100, "grid": {"stages__0__train__lr": (1e-3, 1e-2)}}


def test_the_arms_differ_in_the_second_blocks_mixer_alone() -> None:
    arms = language.arms("fnetar")
    mixers = {n: [b.get("parts")[0].cls for b in r.model.get("backbone").get("blocks")] for n, r in arms.items()}
    assert mixers == {
        "system": [CausalAttention, CausalFourier],
        "baseline": [CausalAttention, Identity],
        "bound": [CausalAttention, CausalAttention],
    }
    sizes = {n: sum(p.numel() for p in r.bind({"vocab": 256}).build().parameters()) for n, r in arms.items()}
    assert sizes["system"] == sizes["baseline"] < sizes["bound"]


def test_a_tiny_trial_is_finite_and_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken(monkeypatch)
    claim = claim_of("fnetar", TINY)
    chosen = language.tune("fnetar", claim)
    assert set(chosen) == {"system", "baseline", "bound"}
    one, two = (language.trial("fnetar", claim, 1, chosen) for _ in range(2))
    assert one == two
    assert one.system != one.baseline
    assert all(math.isfinite(x) and x > 0 for x in (one.system, one.baseline, one.also["bound"]))


def test_tuning_takes_what_is_best_on_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken(monkeypatch)
    claim = claim_of("fnetar", {**TINY, "grid": {"stages__0__train__lr": (1e-9, 1e-2)}})
    arms = {"system": language.arms("fnetar")["system"]}
    assert text.tuned(claim, arms) == {"system": {"stages__0__train__lr": 1e-2}}


def test_the_floor_is_the_entropy_of_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    _, test = spoken(monkeypatch)
    found = text.unigram(claim_of("fnetar", {**TINY, "judged": 10**6}))
    shares = np.bincount(test) / len(test)
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    assert entropy < found < entropy + 0.1


def test_training_lowers_the_bits_below_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken(monkeypatch)
    claim = claim_of("fnetar", {**TINY, "train": {**TRAIN, "stages__0__train__steps": 120}})
    fitted = text.learnt(claim, language.arms("fnetar")["system"], 0, {"stages__0__train__lr": 1e-2})
    assert text.bits(claim, fitted) < text.unigram(claim)


def test_absent_data_say_where_they_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("SEQUARY_DATA", str(tmp_path))
    with pytest.raises(DataMissing, match=r"shakespeare\.txt is not there"):
        text.shakespeare()
