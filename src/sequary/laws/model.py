"""Laws of models: rows, padding and steps, on the toy of their kind."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import torch

from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.values import Batch
from sequary.laws.case import ModelCase
from sequary.laws.law import SEEDS, Law, equal, held


def rows(case: ModelCase) -> None:
    """A row's hidden values are the same whatever stands beside it."""
    for seed in SEEDS:
        module = cast(Model, case.build(seed))
        (batch,) = case.args(module, seed)
        whole = module(batch).hidden
        for row in range(batch.values.shape[0]):
            alone = batch.map(lambda t: t[row : row + 1])  # noqa: B023 - called here
            equal(module(alone).hidden, whole[row : row + 1], f"row {row} alone")


def target_unread(case: ModelCase) -> None:
    """The target is the objective's affair: forward never reads it."""
    module = cast(Model, case.build())
    (batch,) = case.args(module, 0)
    blind = dataclasses.replace(batch, target=None, weight=None)
    equal(module(blind).hidden, module(batch).hidden, "hidden values without a target")


def steps(case: ModelCase) -> float:
    """Token by token and by chunks, with padding on the left of one row, the hidden values are those of forward."""
    worst = 0.0
    for seed in SEEDS:
        module = cast(Model, case.build(seed))
        (batch,) = case.args(module, seed)
        read = case.subject.toy.get("read", _as_it_is)(module, batch)
        mask = torch.ones(read.values.shape[:2], dtype=torch.bool)
        mask[1, :3] = False
        for observed in (None, mask):
            whole = module(dataclasses.replace(batch, observed=observed)).hidden
            for split in _splits(case, read.values.shape[1]):
                out = _in_steps(module, dataclasses.replace(read, observed=observed), split)
                real = torch.ones_like(mask) if observed is None else mask
                held(
                    out.shape == whole.shape, f"steps of {split} give {tuple(out.shape)}, forward {tuple(whole.shape)}"
                )
                worst = max(worst, equal(out[real], whole[real], f"steps of {split[:3]} against forward"))
    return worst


def _as_it_is(module: Model, batch: Batch) -> Batch:
    return batch


def _splits(case: ModelCase, length: int) -> tuple[tuple[int, ...], ...]:
    """The model's own, of which one at least takes two steps, or any."""
    own = case.subject.toy.get("splits")
    if own is None:
        return (1,) * length, (length,), (5, length - 5)
    held(
        any(len(split) > 1 for split in own),
        f"splits={own}: none of them takes two steps, which says nothing of a state",
    )
    return own


def _in_steps(module: Model, batch: Batch, split: tuple[int, ...]) -> torch.Tensor:
    state, out, at = module.init_state(batch), list[torch.Tensor](), 0
    for size in split:
        mask = None if batch.observed is None else batch.observed[:, at : at + size]
        answer, state = module.step(batch.values[:, at : at + size], state, Ctx(mask=mask, memory=batch.memory))
        out.append(answer.hidden)
        at += size
    return torch.cat(out, 1)


def heads(case: ModelCase) -> None:
    """The first of the heads is "main"."""
    module = cast(Model, case.build())
    held(next(iter(module.heads), None) == "main", f'heads {list(module.heads)}: the first one is called "main"')


def steppable(case: Any) -> bool:
    return type(case.build()).step is not Model.step


LAWS = (
    Law(name="rows", contract="model", catches="a batch leak", check=rows),
    Law(name="target_unread", contract="model", catches="a model that reads its target", check=target_unread),
    Law(name="model_steps", contract="model", catches="a forgotten state or position", check=steps, applies=steppable),
    Law(name="heads", contract="model", catches="a model without a main head", check=heads),
)
