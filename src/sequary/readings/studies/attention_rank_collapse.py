"""Attention alone, with skips, and with feed-forwards that amplify: how alike their tokens become with depth, over seeds."""

from __future__ import annotations

from sequary.claims.rank_collapse import ROUNDING, arms, residuals
from sequary.core.catalogue import load
from sequary.readings.page import Page
from sequary.readings.rank_collapse import depth

SLUG = "attention-rank-collapse"


def study() -> Page:
    """The claim's own arms at its own size, in float64; what falls below rounding is drawn at rounding."""
    claim = load(SLUG).claim
    assert claim is not None
    gain, seeds = claim.settings["gain"], claim.settings["seeds"]
    alone, skips, fed = arms(SLUG, claim)
    named = {
        "attention alone": (alone, 1.0),
        "with skips": (skips, 1.0),
        f"feed-forwards × {gain:g}, no skips": (fed, gain),
    }
    lines = {
        name: [residuals(recipe, claim.settings, seed, gain=by).clamp(min=ROUNDING).tolist() for seed in range(seeds)]
        for name, (recipe, by) in named.items()
    }
    ends = {name: sorted(run[-1] for run in runs)[seeds // 2] for name, runs in lines.items()}
    reached = [next((i for i, r in enumerate(run) if r <= ROUNDING), len(run)) for run in lines["attention alone"]]
    return Page(
        title="Rank collapse: attention alone makes its tokens alike",
        lead=(
            "1: tokens differ freely; towards 0: all tokens are alike (the matrix of tokens has rank one). Layer 0 is the embedding. "
            f"Fresh weights, {seeds} seeds: lines are medians, bands go from least to greatest; what falls below "
            "rounding is drawn at rounding.",
            f"Attention alone falls at an accelerating rate, to rounding ({ROUNDING:g}) by layer {sorted(reached)[seeds // 2]}; "
            f"with skips {ends['with skips']:.2g} is left after {claim.settings['depth']} layers.",
        ),
        drawings=(depth("Residual by layer", lines, log=True),),
        size=(560, 340),
        numbers={"system": SLUG, "rounding": ROUNDING, "relative": lines},
    )
