"""The exact properties of grids: the system has them, the baseline lacks them, and a fault in either is found."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from sequary.claims import pixels_seen, shift_equivariance, window_border
from sequary.claims.exact import reads
from sequary.claims.experiments import claim_of
from sequary.claims.judging import judge


@pytest.mark.parametrize(
    ("slug", "module"),
    [("nat-neighborhood", shift_equivariance), ("swin", window_border), ("axial-attention", pixels_seen)],
)
def test_the_property_holds_for_the_system_and_not_for_its_baseline(slug: str, module: Any) -> None:
    claim = claim_of(slug)
    trials = [module.trial(slug, claim, seed, {}) for seed in range(3)]
    assert judge(claim, trials)[0] == "holds"
    assert not any(t.broken for t in trials)
    swapped = [dataclasses.replace(t, system=t.baseline, baseline=t.system) for t in trials]
    assert judge(claim, swapped)[0] == "does not hold at this scale"


def test_the_share_of_pairs_across_is_what_windows_of_four_on_eight_give() -> None:
    """Shifted windows let the 16 inner cells read all 64, the 32 at an edge those of two windows, the 16 in corners their own."""
    found = window_border.trial("swin", claim_of("swin"), 0, {})
    assert found.system == (16 * 48 + 32 * 16) / (64 * 48)
    assert found.baseline == 0
    assert found.also["within"] == 1


def test_masked_rows_see_their_own_row_and_nothing_else() -> None:
    found = pixels_seen.trial("axial-attention", claim_of("axial-attention"), 0, {})
    assert found.system == 1
    assert found.baseline == 5 * 15 / 435


def test_the_axial_arms_weigh_the_same() -> None:
    both, rows = pixels_seen.arms("axial-attention", claim_of("axial-attention").settings)
    sizes = [sum(p.numel() for p in recipe.build().parameters()) for recipe in (both, rows)]
    assert abs(sizes[0] - sizes[1]) < 0.05 * sizes[0]


def test_a_later_pixel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from sequary.mixers.attention.axial import Lines

    true = Lines.forward
    monkeypatch.setattr(Lines, "forward", lambda self, x, ctx, grid, *, causal: true(self, x, ctx, grid, causal=False))
    found = pixels_seen.trial("axial-attention", claim_of("axial-attention"), 0, {})
    assert "which is not earlier" in found.broken


def test_a_window_that_leaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_of("swin")
    shifted, _ = window_border.arms(claim.settings)
    monkeypatch.setattr(window_border, "arms", lambda _: (shifted, shifted))
    assert "without the shift 0.417 of the pairs" in window_border.trial("swin", claim, 0, {}).broken


def test_an_interior_that_does_not_move_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_of("nat-neighborhood")
    neighbours, windows = shift_equivariance.arms(claim.settings)
    monkeypatch.setattr(shift_equivariance, "arms", lambda _: (windows, neighbours))
    assert "the interior moves with the input only to" in shift_equivariance.trial("swin", claim, 0, {}).broken


def test_reads_is_the_pattern_of_a_matrix() -> None:
    matrix = torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 3.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    found = reads(lambda x: matrix @ x, torch.randn(1, 3, 4, dtype=torch.float64), seed=0)
    assert torch.equal(found > 0, matrix != 0)
