"""Conversion to adaptive feed-forwards: what stays, what distillation brings, what the gate is taught, what tuning holds to."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Edited
from sequary.edit.adapted import Adapted, learners_of
from sequary.laws.toys import tiny_language
from sequary.mixers.mlp.adaptive import AdaptiveMLP

EDIT = Adapted(learners=3, cut=3, steps=(0, 0, 0), lr=1e-2)


def host() -> tuple[Model, Recipe, list[Batch]]:
    recipe = tiny_language()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = recipe.build().eval()
        ids = torch.randint(5, (4, 8, 13))
    return model, recipe, [Batch(values=rows[:, :-1], target=rows[:, 1:]) for rows in ids]


def edited(steps: tuple[int, int, int], keep: float = 0.5) -> Edited:
    model, recipe, seen = host()
    edit = dataclasses.replace(EDIT, steps=steps, keep=keep)
    return edit(model, recipe, seen, torch.Generator().manual_seed(1))


def error(made: Model, count: int) -> float:
    """Of the first feed-forward's first `count` learners, on what the old one reads."""
    model, _, seen = host()
    read: list[Tensor] = []
    old = model.get_submodule("backbone.blocks.0.parts.1")
    hook = old.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    with torch.no_grad():
        model(seen[0])
        hook.remove()
        new = made.get_submodule("backbone.blocks.0.parts.1")
        assert isinstance(new, AdaptiveMLP)
        return float((new.every(read[0])[..., count, :] - old(read[0])).square().mean())


def test_distillation_brings_sums_near_and_leaves_the_rest_alone() -> None:
    untaught, taught = edited((0, 0, 0)), edited((150, 0, 0))
    assert error(taught.model, 3) < 0.3 * error(untaught.model, 3)
    assert max(error(taught.model, 3), error(taught.model, 1)) < 0.5 * error(taught.model, 0)
    before = host()[0].state_dict()
    kept = [n for n in before if "attention" in n or ".parts.0." in n]
    assert kept
    assert all(torch.equal(before[n], taught.model.state_dict()[n]) for n in kept)


def test_the_gate_learns_the_least_number_that_is_near_enough() -> None:
    model, recipe, seen = host()
    means: list[float] = []
    for near in (1e9, 0.0):
        edit = dataclasses.replace(EDIT, steps=(20, 150, 0), near=near)
        made = edit(model, recipe, seen, torch.Generator().manual_seed(1))
        means.append(made.numbers["share"])
    assert means[0] < 0.02
    assert means[1] > 0.98


def test_tuning_pulls_the_share_to_what_is_asked() -> None:
    """In training gates draw, later they take the likeliest, so that the share is met on average only."""
    found = [edited((20, 0, 120), keep).numbers["share"] for keep in (0.2, 0.8)]
    assert found[0] < 0.4
    assert found[1] > 0.6


def test_shares_count_learners() -> None:
    choice = torch.tensor([[[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]]])
    torch.testing.assert_close(learners_of(choice), torch.tensor([[0.0, 1.0, 0.5]]))
