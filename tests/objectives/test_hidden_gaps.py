"""What is hidden is what other rows lack."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from sequary.core.values import Batch, Output
from sequary.objectives.hidden_gaps import HiddenGaps
from sequary.objectives.imputation import HiddenValues


class Listens:
    """A model that says 0 and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Batch] = []
        self.head = SimpleNamespace(loss=lambda said, truth: (said - truth).abs())

    def __call__(self, batch: Batch, rng: Any = None) -> Output:
        self.shown.append(batch)
        return Output(torch.zeros_like(batch.values), extra={"first": torch.zeros_like(batch.values)})


def batch() -> Batch:
    """Each row lacks a block of its own."""
    observed = torch.ones(6, 12, 2, dtype=torch.bool)
    for row in range(6):
        observed[row, 2 * row : 2 * row + 2, row % 2] = False
    values = torch.arange(1, 145.0).view(6, 12, 2)
    return Batch(values=values * observed, observed=observed)


def hidden(objective: Any, given: Batch, seed: int) -> tuple[Tensor, Any]:
    model = Listens()
    loss = objective(model, given, torch.Generator().manual_seed(seed))
    (shown,) = model.shown
    assert shown.observed is not None
    assert given.observed is not None
    assert not shown.values[~shown.observed].any()
    return given.observed & ~shown.observed, loss


def test_whole_gaps_of_other_rows_are_hidden() -> None:
    given = batch()
    assert given.observed is not None
    gone, loss = hidden(HiddenGaps(rate=0.0), given, 0)
    for row in gone:
        assert int(row.sum()) in (0, 2)  # the gap of another row, or its own, in which nothing is left to hide
        assert not row.any() or any(torch.equal(row, ~other) for other in given.observed)
    assert gone.any()
    assert float(loss.terms["imputation"]) == pytest.approx(float(given.values[gone].mean()))
    kept = given.observed & ~gone
    assert float(loss.terms["reconstruction"]) == pytest.approx(float(given.values[kept].mean()))
    assert float(loss.value) == pytest.approx(float(loss.terms["imputation"] + loss.terms["reconstruction"]))


def test_without_gaps_it_is_hidden_values() -> None:
    given = dataclasses.replace(batch(), observed=torch.ones(6, 12, 2, dtype=torch.bool))
    (gaps, a), (values, b) = (hidden(o, given, 1) for o in (HiddenGaps(rate=0.3), HiddenValues(rate=0.3)))
    assert torch.equal(gaps, values)
    assert torch.equal(a.value, b.value)
