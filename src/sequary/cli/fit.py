"""`sequary fit`: one system, trained on data of its task, as a folder that the task's other commands read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sequary.cli import values
from sequary.compare.durations import seconds
from sequary.core.catalogue import System, UnknownSystem, load
from sequary.core.plain import RecipeError
from sequary.core.recipe import Recipe
from sequary.data.roles import Columns
from sequary.tasks.fitted import Fit
from sequary.tasks.folders import check_folder
from sequary.tasks.saved import CONTRACT, save
from sequary.tasks.task import Asked, Task, names, task
from sequary.tasks.training import altered
from sequary.train.device import device as device_named


def command(
    system: str,
    data: str,
    *,
    horizon: int | None = None,
    out: str | None = None,
    steps: int | None = None,
    budget: str | None = None,
    settings: Sequence[str] = (),
    seed: int = 0,
    device: str = "cpu",
    context: int | None = None,
    levels: Sequence[float] | None = None,
    columns: Columns = Columns(),
    as_json: bool = False,
) -> int:
    """`settings` are words PATH=VALUE; `horizon` None: one season, or 12 steps where there is none; `out` None: SYSTEM-model.

    Longer than 40 lines because each option stands on a line, twice.
    """
    found = load(system)
    own = _task(found, data)
    assert found.recipe is not None
    folder = out or f"{Path(system).stem}-model"
    check_folder(Path(folder), mark=CONTRACT)
    if steps is not None and budget is not None:
        raise ValueError("--steps and --budget are both given; give one")
    for flag, number in (("--steps", steps), ("--context", context)):
        if number is not None and number < 1:
            raise ValueError(f"{flag} {number}: at least 1 is needed")
    changes = values.settings(settings)
    _check(found.recipe, changes)
    device_named(device)
    asked = Asked(
        horizon=horizon,
        context=context,
        levels=None if levels is None else tuple(levels),
        columns=columns,
        seed=seed,
        steps=steps,
        seconds=None if budget is None else _seconds(budget),
        settings=changes,
        device=device,
    )
    fitted = own.fit(found.recipe, data, asked, (lambda line: None) if as_json else print)
    save(fitted, folder)
    _print(system, fitted, folder, as_json=as_json)
    return 0


def _task(found: System, data: str) -> Task:
    """The task that both the system and the data are for."""
    if found.recipe is None:
        raise UnknownSystem(f"{found.id} has no recipe to train; `sequary show {found.id}` says what it is")
    every = [task(name) for name in names()]
    able = [one for one in every if one.refuses(found.recipe) is None]
    own = next((one for one in able if one.reads(data)), None)
    if own is not None:
        return own
    if able:
        wanted = " or ".join(dict.fromkeys(one.DATA for one in able))
        raise UnknownSystem(f"{found.id} learns from {wanted}, which {data} is not by its name; see `sequary systems`")
    raise UnknownSystem(f"{found.id} does no task that `fit` knows ({', '.join(names())}); it is a Python value so far")


def _check(recipe: Recipe, changes: Mapping[str, Any]) -> None:
    """That the settings fit, and that what is trained can be saved: both are cheap to know beforehand."""
    parts = {field.name for field in dataclasses.fields(Recipe)} | {"context"}
    for path in changes:
        if path.partition("__")[0] not in parts:
            raise ValueError(
                f"--set {path}: a recipe has {', '.join(sorted(parts))}; reach inside by __, such as model__head"
            )
    try:
        changed = altered(recipe, changes)
    except TypeError as error:
        raise ValueError(f"--set: {error}") from error
    try:
        Recipe.from_json(changed.to_json())
    except RecipeError as error:
        mend = "a model with parts of your own is saved once an entry point of sequary.systems names their module"
        raise ValueError(f"{error}; {mend}" if "entry points" in str(error) else f"--set: {error}") from error


def _seconds(budget: str) -> float:
    try:
        return seconds(budget)
    except ValueError as error:
        raise ValueError(f"--budget: {error}") from None


def _print(system: str, fitted: Fit, folder: str, *, as_json: bool) -> None:
    record = fitted.record
    last = record.curve[-1][1:] if record.curve else (None, None)
    facts = {
        "system": system,
        "task": fitted.task,
        "folder": folder,
        "params": record.params,
        "steps": record.steps,
        "train_s": round(record.train_s, 3),
        "loss": last[0],
        "validation": last[1],
        "context": fitted.context,
        "horizon": getattr(fitted, "horizon", None),
    }
    if as_json:
        print(json.dumps(facts))
        return
    held = "" if last[1] is None else f", on held-out data {last[1]:.4g}"
    print(
        f"{system}: {record.params:,} parameters, {record.steps:,} steps in {record.train_s:.1f} s, "
        f"loss {last[0]:.4g}{held}, context {fitted.context}\n{folder}"
    )
