"""Laws of objectives: a finite scalar, the same for the same generator, least at the right answer."""

from __future__ import annotations

import dataclasses

import torch

from sequary.laws.host import HostCase, unchanged
from sequary.laws.law import SEEDS, Law, equal, finite, held
from sequary.laws.learning import STEPS, learn


def loss(case: HostCase) -> None:
    """Finite, a scalar, with a gradient; the same generator gives the same value; model and batch stay as they are."""
    for seed in SEEDS:
        model, batch, objective = case.model(), case.batch(4, seed), case.make()
        with unchanged(model, batch):
            first, again = (objective(model, batch, torch.Generator().manual_seed(seed)).value for _ in range(2))
        held(first.shape == (), f"a loss of shape {tuple(first.shape)}, not a scalar")
        finite(first, "loss")
        held(torch.equal(first, again), "the same generator gives another loss")
        first.backward()
        held(
            any(p.grad is not None and bool(p.grad.any()) for p in model.parameters()), "no gradient reaches the model"
        )


def weight(case: HostCase) -> None:
    """Entries of weight 0 do not count; a batch in which none counts gives a finite loss."""
    model, batch, objective = case.model(), case.batch(4, 0), case.make()
    assert batch.target is not None
    target = batch.target
    kept = torch.rand(target.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    some = dataclasses.replace(batch, weight=kept.double())
    other = dataclasses.replace(some, target=torch.where(kept, target, target.flatten().roll(1).view_as(target)))
    held(
        not torch.equal(target, torch.where(kept, target, target.flatten().roll(1).view_as(target))),
        "the toy's targets do not vary",
    )
    a, b = (objective(model, v, torch.Generator().manual_seed(2)).value for v in (some, other))
    equal(b, a, "loss when targets of weight 0 change")
    none = dataclasses.replace(batch, weight=torch.zeros(target.shape))
    finite(objective(model, none, torch.Generator().manual_seed(2)).value, "loss of a batch in which nothing counts")


def least(case: HostCase) -> None:
    """Minimised on its toy, after the host's earlier stages, it leads to the right answer: the host beats the floor."""
    recipe = case.recipe()
    stage = dataclasses.replace(recipe.stages[-1], objective=case.make())
    own = learn(dataclasses.replace(recipe, stages=(*recipe.stages[:-1], stage)), case.toy())
    held(
        own.beats,
        f"after {STEPS} steps on {case.toy().name} the host scores {own.score:.3g}, the floor {own.floor:.3g}",
    )


def weighted(case: HostCase) -> bool:
    batch = case.batch(1, 0)
    return batch.weight is not None and batch.target is not None


LAWS = (
    Law(name="value", contract="objective", catches="a loss that its generator does not decide", check=loss),
    Law(name="weight", contract="objective", catches="missing truth that counts", check=weight, applies=weighted),
    Law(name="least", contract="objective", catches="a loss that is least at a wrong answer", check=least),
)
