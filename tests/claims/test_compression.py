"""The claim of MEGABYTE: arms of equal compute, a tiny trial."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sequary.claims import compression, text
from sequary.claims.experiments import claim_of
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.tasks.language.train import Bytes

TINY = {
    "dim": 16,
    "stages__0__train__batch": 4,
    "stages__0__train__lr": 1e-2,
    "stages__0__train__patience": None,
}


def alternating(count: int) -> Bytes:
    """Two letters in turn, at one of two places in the alphabet for thirty bytes at a time."""
    at = np.arange(count)
    return (97 + at % 2 + 2 * (at // 30 % 2)).astype(np.uint8)


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch) -> Claim:
    monkeypatch.setattr(text, "shakespeare", lambda: (alternating(3000), alternating(600)))
    small = {"model__widths": (16,), "model__stages__0__depth": 1, "model__stages__1__depth": 1}
    arms = {"system": small, "baseline": {"model__backbone__depth": 2}}
    changes = {**arms, "context": 32, "steps": 40, "train": TINY, "grid": {"stages__0__train__lr": (1e-2,)}}
    return claim_of("megabyte", {**changes, "judged": 500, "new": 8, "rows": 4})


def test_arms_cost_the_same(claim: Claim) -> None:
    recipes = compression.arms("megabyte", claim)
    cost = {
        name: recipe.stages[0].train.steps * compression.flops(recipe.but(**TINY), 32)
        for name, recipe in recipes.items()
    }
    step = compression.flops(recipes["baseline"].but(**TINY), 32)
    assert abs(cost["system"] - cost["baseline"]) <= step / 2
    assert recipes["system"].stages[0].train.steps == 40


def test_compute_counts_products_and_attention() -> None:
    """gpt with one layer: its maps, forward and twice backward, and q·k and weights·v likewise."""
    recipe = claim_recipe()
    dim, hidden, context, batch = 16, 40, 32, 8
    maps = context * (4 * dim * dim + 3 * dim * hidden + 256 * dim)
    attention = 2 * context * context * dim
    assert compression.flops(recipe, context) == 3 * 2 * batch * (maps + attention)


def claim_recipe() -> Recipe:
    recipe = load("gpt").recipe
    assert recipe is not None
    return recipe.but(dim=16, model__backbone__depth=1)


def test_trial(claim: Claim) -> None:
    chosen = compression.tune("megabyte", claim)
    found = compression.trial("megabyte", claim, 0, chosen)
    assert found.floor is not None
    assert 1.9 < found.floor < 2.3
    assert 0 < found.system < 8
    assert 0 < found.baseline < 8
    assert all(math.isfinite(x) and x > 0 for x in found.also.values())
    slower = any(
        found.also[f"system_bytes_per_s_rows_{n}"] <= found.also[f"baseline_bytes_per_s_rows_{n}"] for n in (1, 4)
    )
    assert bool(found.broken) == slower
