"""SAITS: what the diagonal mask hides, what is kept, and what the objective shows."""

from __future__ import annotations

import dataclasses
from typing import cast

import pytest
import torch

from sequary.core.catalogue import load
from sequary.core.ctx import Ctx, Tape
from sequary.core.values import Batch
from sequary.mixers.attention.diagonal import DiagonalAttention
from sequary.models.imputer import BlendedImputer
from sequary.objectives.imputation import HiddenValues


def own_gradient(mixer: DiagonalAttention) -> tuple[float, float]:
    """Greatest |d out_t / d in_t|, and |d out_t / d in_s|, s ≠ t."""
    x = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jacobian = cast(torch.Tensor, torch.autograd.functional.jacobian(mixer, x))[0, :, :, 0]  # [T, D, S, D]
    size = jacobian.abs().amax((1, 3))
    own = torch.eye(5, dtype=torch.bool)
    return float(size[own].max()), float(size[~own].max())


def mixer(itself: bool) -> DiagonalAttention:
    torch.manual_seed(0)
    return DiagonalAttention(8, heads=2, itself=itself).double()


def test_with_the_query_held_a_step_says_nothing_to_itself() -> None:
    """The mask hides keys and values: with equal scores nothing of a step's own input is left, and of the others' there is."""
    for itself in (False, True):
        made = mixer(itself)
        torch.nn.init.zeros_(made.q.weight)
        own, others = own_gradient(made)
        assert others > 1e-3
        assert own > 1e-3 if itself else own == 0.0


def test_the_query_still_reads_its_own_step() -> None:
    assert own_gradient(mixer(False))[0] > 1e-6


@torch.no_grad()
def test_the_diagonal_of_the_map_is_zero() -> None:
    tape = Tape("attention")
    mixer(False)(torch.randn(2, 5, 8, dtype=torch.float64), Ctx(tape=tape))
    (weights,) = tape.entries["attention"]
    assert torch.equal(weights.diagonal(dim1=-2, dim2=-1), torch.zeros(2, 2, 5, dtype=torch.float64))
    assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 5, dtype=torch.float64), atol=1e-12)


def imputer() -> BlendedImputer:
    recipe = load("saits").recipe
    assert recipe is not None
    torch.manual_seed(0)
    made = recipe.shrunk().bind({"channels": 3, "context": 10}).build()
    assert isinstance(made, BlendedImputer)
    return made.double().eval()


def batch() -> Batch:
    rng = torch.Generator().manual_seed(2)
    values = torch.randn(4, 10, 3, generator=rng, dtype=torch.float64)
    observed = torch.rand(4, 10, 3, generator=rng) > 0.3
    return Batch(values=values * observed, observed=observed)


@torch.no_grad()
def test_what_is_observed_is_kept() -> None:
    given = batch()
    filled = imputer().filled(given)
    assert given.observed is not None
    assert torch.equal(filled[given.observed], given.values[given.observed])
    assert bool((filled[~given.observed] != 0).all())


@torch.no_grad()
def test_the_third_estimate_lies_between_the_two() -> None:
    output = imputer()(batch())
    low = torch.minimum(output.extra["first"], output.extra["second"])
    high = torch.maximum(output.extra["first"], output.extra["second"])
    assert bool(((low - 1e-12 <= output.hidden) & (output.hidden <= high + 1e-12)).all())


def test_the_objective_shows_no_hidden_value() -> None:
    """The model is given 0 where a value is hidden, and told that it is missing; the loss is the error there."""
    given, seen = batch(), list[Batch]()
    made = imputer()
    made.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    loss = HiddenValues(rate=0.5)(made, given, torch.Generator().manual_seed(0))
    (shown,) = seen
    assert shown.observed is not None
    assert given.observed is not None
    hidden = given.observed & ~shown.observed
    assert 0.4 < float(hidden.sum() / given.observed.sum()) < 0.6
    assert bool((shown.values[~shown.observed] == 0).all())
    assert not bool((shown.observed & ~given.observed).any())
    error = (made(shown).hidden - given.values).abs()[hidden].mean()
    assert torch.allclose(loss.terms["imputation"], error)


def test_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="length=10, got 9 steps"):
        imputer()(dataclasses.replace(batch(), values=batch().values[:, :9], observed=None))
