"""Associative recall: what the rows ask, equal arms, and that the measurement is real."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from sequary.claims import recall
from sequary.claims.experiments import claim_of
from sequary.claims.symbols import Rows, accuracy, trained
from sequary.core.card import Claim
from sequary.core.recipe import Recipe
from sequary.mixers.linear.gla import GatedLinearAttention
from sequary.mixers.linear.retention import Retention

TASK: dict[str, Any] = {"pairs": 3, "length": 12, "keys": 5, "values": 4}


def tiny() -> Claim:
    claim = claim_of("gla")
    train = {**claim.settings["train"], "dim": 16, "stages__0__train__steps": 3, "stages__0__train__batch": 8}
    return claim_of("gla", {**TASK, "train": train, "grid": {"stages__0__train__lr": (1e-2,)}})


def test_a_row_tells_pairs_and_asks_each_key_once() -> None:
    rows = recall.told(50, 0, "test", **TASK)
    assert rows.asked.sum(1).tolist() == [3] * 50
    for row, target, asked in zip(rows.values, rows.target, rows.asked, strict=True):
        known = dict(row[:6].view(3, 2).tolist())
        assert len(known) == 3
        assert not asked[:6].any()
        assert {int(k): int(v) for k, v in zip(row[asked], target[asked], strict=True)} == known
        assert (row[6:][~asked[6:]] == recall.FILLER).all()
    assert set(rows.values[:, :6:2].unique().tolist()) == set(range(1, 6))
    assert set(rows.values[:, 1:6:2].unique().tolist()) == set(range(6, 10))


def test_other_fillers_and_orders() -> None:
    plain = recall.told(50, 0, "test", **TASK)
    noisy, turned = recall.told(50, 0, "test", **TASK, fillers=4), recall.told(50, 0, "test", **TASK, value_first=True)
    assert torch.equal(noisy.target, plain.target)
    pairs, free = 2 * TASK["pairs"], noisy.values[plain.values == 0]
    assert torch.equal(noisy.values[:, :pairs], plain.values[:, :pairs])
    last = TASK["keys"] + TASK["values"]
    assert set(free.tolist()) == {0, last + 1, last + 2, last + 3}
    assert torch.equal(turned.values[:, :pairs].unflatten(1, (-1, 2)).flip(2).flatten(1), plain.values[:, :pairs])
    assert torch.equal(turned.values[:, pairs:], plain.values[:, pairs:])


def test_rows_come_from_seed_and_purpose_alone() -> None:
    first, again, seed, purpose = (
        recall.told(20, s, p, **TASK).values for s, p in ((0, "a"), (0, "a"), (1, "a"), (0, "b"))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, seed)
    assert not torch.equal(first, purpose)


def test_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="use 9 or more"):
        recall.told(1, 0, "test", **{**TASK, "length": 8})


def built(recipe: Recipe, vocab: int) -> torch.nn.Module:
    return recipe.bind({"vocab": vocab}).build()


def memory(model: torch.nn.Module, cls: type) -> int:
    return sum(m.init_state(1).memory.numel() for m in model.modules() if isinstance(m, cls))  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("live", [False, True])
def test_the_arms_have_states_of_one_size_and_parameters_within_one_in_a_hundred(live: bool) -> None:
    claim = claim_of("gla")
    claim = claim_of("gla", claim.settings["live"] if live else None)
    system, baseline = (built(recall.arms("gla", claim)[n], recall.vocab(claim)) for n in ("system", "baseline"))
    assert memory(system, GatedLinearAttention) == memory(baseline, Retention) > 0
    assert memory(system, Retention) == memory(baseline, GatedLinearAttention) == 0
    sizes = [sum(p.numel() for p in m.parameters()) for m in (system, baseline)]
    assert abs(sizes[0] / sizes[1] - 1) < 0.01


def test_a_tiny_trial_is_finite_and_repeats() -> None:
    claim = tiny()
    chosen = recall.tune("gla", claim)
    assert chosen == {n: {"stages__0__train__lr": 1e-2} for n in ("system", "baseline")}
    one, two = (recall.trial("gla", claim, 3, chosen) for _ in range(2))
    assert one == two
    assert one.floor == 1 / 3
    assert all(math.isfinite(x) and 0 <= x <= 1 for x in (one.system, one.baseline))


def test_accuracy_counts_asked_places_alone() -> None:
    """A task that needs no memory is learnt in a moment; what is not asked does not count."""
    claim = tiny()
    values = torch.randint(1, 5, (800, 6), generator=torch.Generator().manual_seed(0), dtype=torch.int16)
    asked = torch.zeros_like(values, dtype=torch.bool)
    asked[:, 2:4] = True
    rows = Rows(values, torch.where(asked, values + 1, 0), asked)
    recipe = recall.arms("gla", claim)["system"].but(stages__0__train__steps=60, stages__0__train__lr=2e-2)
    model = trained(recipe, rows, vocab=8, seed=0)
    assert accuracy(model, rows) > 0.95
    assert accuracy(model, Rows(values, torch.where(asked, values, 0), asked)) < 0.05
