"""The claim of the deep encoder: the made-up translation, its arms, a tiny trial."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from sequary.claims import translation_speed as t
from sequary.claims.experiments import claim_of
from sequary.core.card import Claim
from sequary.models.encdec import EncoderDecoder

SLUG = "deep-encoder-shallow-decoder"
TINY = {"dim": 16, "stages__0__train__batch": 16, "stages__0__train__steps": 20}


@pytest.fixture
def claim() -> Claim:
    grid = {"stages__0__train__lr": (3e-3,)}
    return claim_of(SLUG, {"symbols": 6, "length": 6, "rows": 32, "train": TINY, "grid": grid})


def test_translation_substitutes_and_reorders(claim: Claim) -> None:
    """By hand, symbol by symbol, from a dictionary read off the data."""
    data = t.pairs(400, claim, 0, "test")
    book: dict[int, int] = {}
    for text, said in zip((data.text - 1).tolist(), (data.translation - 1).tolist(), strict=True):
        for start in (0, 3):
            for place, source in enumerate(t.ORDERS[text[start] % 6].tolist()):
                assert book.setdefault(text[start + source], said[start + place]) == said[start + place]
    assert sorted(book) == sorted(book.values()) == list(range(6))
    assert not torch.equal(data.text, t.pairs(400, claim, 0, "train").text)
    assert not torch.equal(data.translation, t.pairs(400, claim, 1, "test").translation)


def test_arms_have_equally_many_layers(claim: Claim) -> None:
    depths: dict[str, tuple[int, int]] = {}
    for name, recipe in t.arms(SLUG, claim).items():
        model = recipe.bind({"vocab": 7}).build()
        assert isinstance(model, EncoderDecoder)
        depths[name] = tuple(len(model.get_submodule(f"{part}.blocks")) for part in ("encoder", "decoder"))  # pyright: ignore[reportArgumentType]
    assert depths == {"system": (7, 1), "baseline": (4, 4)}


def test_trial_and_what_breaks_it(claim: Claim) -> None:
    chosen = t.tune(SLUG, claim)
    found = t.trial(SLUG, claim, 0, chosen)
    assert 0 <= found.system <= 1
    assert 0 <= found.baseline <= 1
    assert not found.broken
    assert all(math.isfinite(x) and x > 0 for x in found.also.values())
    swapped = {"system": claim.settings["baseline"], "baseline": claim.settings["system"]}
    other = t.trial(SLUG, dataclasses.replace(claim, settings={**claim.settings, **swapped}), 0, chosen)
    assert (other.system, other.baseline) == (found.baseline, found.system)
    assert "1 rows" in other.broken
    assert "32 rows" in other.broken
