"""Blockwise decoding on a text of the test's own: calls are counted, and a symbol that is not greedy's is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sequary.claims import blockwise_exactness, text
from sequary.claims.experiments import claim_of
from sequary.core.contracts import Model
from sequary.core.values import Batch, Sample
from sequary.decode.blockwise import Blockwise

SLUG = "blockwise-parallel-decoding"
TINY = {
    "train": {"dim": 16, "model__backbone__depth": 1, "stages__0__train__steps": 120, "stages__0__train__lr": 1e-2},
    "context": 12,
    "judged": 100,
    "prompts": 3,
    "new": 12,
}


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters that go round, which heads learn at once."""
    letters = np.tile(np.arange(97, 102, dtype=np.uint8), 400)
    halves: Callable[[], Any] = lambda: (letters[:1800], letters[1800:])  # noqa: E731
    for module in (text, blockwise_exactness):
        monkeypatch.setattr(module, "shakespeare", halves)


def test_equal_output_in_fewer_calls() -> None:
    found = blockwise_exactness.trial(SLUG, claim_of(SLUG, TINY), 0, {})
    assert not found.broken
    assert found.baseline == 1
    assert found.system < 0.7
    assert all(np.isfinite(value) for value in found.also.values())


def test_only_the_further_heads_tell_the_arms_apart() -> None:
    claim = claim_of(SLUG)
    system, plain = (
        r.but(dim=64, model__backbone__depth=2).bind({"vocab": 256}) for r in blockwise_exactness.arms(SLUG, claim)
    )
    assert system.stages == plain.stages
    names = [{name: p.shape for name, p in r.build().named_parameters()} for r in (system.but(model__ahead=()), plain)]
    assert names[0] == names[1]


def test_a_symbol_that_is_not_greedys_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Blockwise.__call__

    def off(self: Blockwise, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        sample = true(self, model, prompt, rng)
        raw = sample.raw.clone()
        raw[0, 15] += 1
        return Sample(raw, sample.calls)

    monkeypatch.setattr(Blockwise, "__call__", off)
    found = blockwise_exactness.trial(SLUG, claim_of(SLUG, TINY), 0, {})
    assert found.broken == "prompt 0: symbol 3 is not what greedy decoding gives"


def test_repeated_runs_are_counted() -> None:
    new = torch.arange(20)
    assert blockwise_exactness.repeated(new[None]) == 0
    assert blockwise_exactness.repeated(torch.zeros(1, 20)) == 1 - 1 / 13
    assert blockwise_exactness.repeated(torch.stack((new, torch.zeros(20)))) == 1 - 14 / 26
