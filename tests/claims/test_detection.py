"""Faults that no degradation makes, equal arms, and that the measurement is real."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sequary.claims import detection
from sequary.claims.experiments import claim_of
from sequary.core.card import Claim
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.relative import RelativeAttention
from sequary.objectives.degradation import KINDS, Degradation

FAULTS = ("trend", "frequency", "correlation")


def tiny() -> Claim:
    train = {"dim": 8, "model__backbone__depth": 1, "stages__0__train__steps": 2, "stages__0__train__batch": 4}
    changes = {"steps": 400, "tested": 700, "channels": 3, "context": 16, "train": train}
    return claim_of("anomalybert", {**changes, "grid": {"stages__0__train__lr": (1e-3,)}})


def test_sines_are_coupled_the_same_way_in_every_stretch() -> None:
    learn, test = (detection.sines(3000, 4, 0, purpose) for purpose in ("learn", "test"))
    assert not np.array_equal(learn, test)
    np.testing.assert_array_equal(learn, detection.sines(3000, 4, 0, "learn"))
    assert np.abs(np.corrcoef(learn.T) - np.corrcoef(test.T)).max() < 0.15
    assert np.abs(np.corrcoef(learn.T) - np.corrcoef(detection.sines(3000, 4, 1, "learn").T)).max() > 0.2


def test_faults_change_one_channel_where_they_say_and_nothing_else() -> None:
    clean = detection.sines(1000, 4, 0, "test")
    values, which = detection.faulty(clean, FAULTS, 0)
    changed = (values != clean).sum(1)
    assert set(changed[which == 0]) == {0}
    assert changed.max() == 1
    assert set(which) == {0, 1, 2, 3}
    edges = np.flatnonzero(np.diff(np.concatenate([[0], which])) > 0)
    assert np.diff(edges).min() > detection.APART - detection.LASTS[1]
    with pytest.raises(ValueError, match="fault 'rust' is none of"):
        detection.faulty(clean, ("rust",), 0)


def test_a_broken_correlation_leaves_the_channel_by_itself_as_it_was() -> None:
    clean = detection.sines(1000, 3, 0, "test")
    values, which = detection.faulty(clean, ("correlation",), 0)
    runs = np.split(np.flatnonzero(which), np.flatnonzero(np.diff(np.flatnonzero(which)) > 1) + 1)
    for run in runs:
        (c,) = np.flatnonzero((values[run] != clean[run]).any(0))
        piece = values[run, c]
        windows = np.lib.stride_tricks.sliding_window_view(clean[: run[-1], c], len(run))
        assert (windows == piece).all(1).any()


def test_arms_differ_in_one_thing_each() -> None:
    found = detection.arms("anomalybert", claim_of("anomalybert"))
    assert set(found) == {"system", "without_bias", *KINDS}
    objectives: dict[str, Any] = {name: recipe.stages[0].objective for name, recipe in found.items()}
    whole = Degradation()
    for kind in KINDS:
        chances = {n: getattr(objectives[kind], n) for n in KINDS}
        assert [n for n in KINDS if chances[n]] == [kind]
        assert chances[kind] == pytest.approx(sum(getattr(whole, n) for n in KINDS))
        assert found[kind].model == found["system"].model
    assert objectives["system"] == objectives["without_bias"] == whole
    spec = {"context": 16, "channels": 3}
    kinds = {n: {type(m) for m in found[n].bind(spec).build().modules()} for n in ("system", "without_bias")}
    assert RelativeAttention in kinds["system"]
    assert Attention not in kinds["system"]
    assert Attention in kinds["without_bias"]
    assert RelativeAttention not in kinds["without_bias"]


def test_a_tiny_trial_is_finite_and_repeats() -> None:
    claim = tiny()
    chosen = detection.tune("anomalybert", claim)
    assert chosen == {n: {"stages__0__train__lr": 1e-3} for n in detection.arms("anomalybert", claim)}
    one, two = (detection.trial("anomalybert", claim, 3, chosen) for _ in range(2))
    assert one == two
    assert one.baseline == max(one.also[kind] for kind in KINDS)
    assert {"without_bias", "linear_autoencoder", *FAULTS} <= one.also.keys()
    assert all(math.isfinite(x) and 0 <= x <= 1 for x in (one.system, one.baseline, *one.also.values()))


def test_the_linear_autoencoder_sees_faults() -> None:
    """What it is noted for: that the faults are there to be found."""
    settings = {**claim_of("anomalybert").settings, "tested": 3000}
    clean = detection.sines(3000, 5, 0, "test")
    values, which = detection.faulty(clean, FAULTS, 0)
    score = detection.linear_autoencoder(settings, 0, detection.table(values))
    assert detection.auroc(score, which > 0) > 0.7
    assert detection.auroc(detection.linear_autoencoder(settings, 0, detection.table(clean)), which > 0) < 0.6
