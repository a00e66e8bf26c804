"""Exponents of time: the fit, the limit case, and what is found where the mixer is not what it says."""

from __future__ import annotations

import pytest
import torch

from sequary.claims import cost_exponent
from sequary.claims.experiments import claim_of
from sequary.mixers.identity import Identity

SMALL = {"lengths": (32, 64, 128), "size": 8, "dim": 16, "heads": 2, "repeats": 2}


def test_the_exponent_of_a_power_is_found() -> None:
    lengths = (512, 1024, 2048, 4096)
    assert cost_exponent.exponent(lengths, [3e-9 * n**1.5 for n in lengths]) == pytest.approx(1.5)


def test_a_tiny_trial_is_finite_and_its_limit_case_exact() -> None:
    found = cost_exponent.trial("linformer", claim_of("linformer", {**SMALL, "near_linear": 9.0}), 0, {})
    assert found.also["identity_error"] <= 1e-12
    assert not found.broken
    assert abs(found.system) < 9
    assert abs(found.baseline) < 9


def test_times_are_medians_of_the_mixers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mixers, whose calls take 1 and 2 s; the first round does not count, and looks at the clock once a mixer."""
    ticks = iter([0.0, 0.0, *(0.0, 1.0, 1.0, 3.0) * 3])
    monkeypatch.setattr(cost_exponent, "process_time", lambda: next(ticks))
    x_BTD = torch.zeros(1, 2, 4)
    assert cost_exponent.seconds([Identity(4), Identity(4)], [x_BTD, x_BTD], repeats=3) == [1.0, 2.0]


def test_a_limit_case_that_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "eye", lambda n: torch.ones(n, n) / n)
    found = cost_exponent.trial("linformer", claim_of("linformer", SMALL), 0, {})
    assert "with E = F = identity the output is" in found.broken


def test_an_exponent_above_the_limit_is_found() -> None:
    found = cost_exponent.trial("linformer", claim_of("linformer", {**SMALL, "near_linear": -9.0}), 0, {})
    assert "its time grows with the power" in found.broken
