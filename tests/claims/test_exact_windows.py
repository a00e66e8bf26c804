"""The exact properties of halos, dilation and strides: they hold, and a fault in them is found."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
import torch

from sequary.claims import dilated_reach, shared_keys, visited_tiles
from sequary.claims.experiments import claim_of
from sequary.core.card import Claim
from sequary.mixers.attention.halo import HaloOffsets
from sequary.ops import neighbourhood_tiles


def small(slug: str, **settings: Any) -> Claim:
    claim = claim_of(slug)
    return dataclasses.replace(claim, settings={**claim.settings, **settings})


@pytest.mark.parametrize(
    ("slug", "module", "settings"),
    [
        ("halonet", shared_keys, {"side": 12, "dim": 16, "repeats": 1}),
        ("dinat", dilated_reach, {"side": 9, "depth": 2}),
        ("gna", visited_tiles, {"side": 16, "shapes": 4, "dim": 8}),
    ],
)
def test_nothing_is_broken(slug: str, module: Any, settings: dict[str, Any]) -> None:
    assert module.trial(slug, small(slug, **settings), 0, {}).broken == ""


def test_dilation_and_strides_are_ahead() -> None:
    found = dilated_reach.trial("dinat", small("dinat", side=9, depth=2), 0, {})
    assert (found.system, found.baseline) == (81, 25)
    found = visited_tiles.trial("gna", small("gna", side=16, shapes=0, dim=8), 0, {})
    assert found.system < found.baseline


def test_a_wrong_offset_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = HaloOffsets.forward
    monkeypatch.setattr(HaloOffsets, "forward", lambda self: true(self).roll(1, 1))
    claim = small("halonet", side=12, dim=16, repeats=1)
    assert "from attention under the mask" in shared_keys.trial("halonet", claim, 0, {}).broken


def test_a_wrong_count_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = neighbourhood_tiles.visits
    monkeypatch.setattr(visited_tiles, "visits", lambda *a: true(*a) + 1)
    assert "the mask has" in visited_tiles.wrong(random.Random(0), 1e-10)


def test_a_dilation_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = dilated_reach.dinat.stage
    monkeypatch.setattr(dilated_reach.dinat, "stage", lambda depth, heads, _, kernel: true(depth, heads, (1,), kernel))
    assert "after 2 layers" in dilated_reach.trial("dinat", small("dinat", side=9, depth=2), 0, {}).broken


def test_seconds_are_of_every_call() -> None:
    assert len(shared_keys.seconds([lambda: torch.zeros(1)] * 2, repeats=1)) == 2
