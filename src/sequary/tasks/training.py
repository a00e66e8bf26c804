"""What forecasting and language modelling share: a recipe and windows in, a trained model and its record out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from sequary.core.part import Part, Unfilled
from sequary.core.recipe import Recipe
from sequary.train import manifest
from sequary.train.device import device as device_named
from sequary.train.loop import Trained, fit
from sequary.train.manifest import Chosen
from sequary.train.seeds import derive, forked
from sequary.train.source import Source


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a model came about."""

    params: int
    train_s: float
    memory_mb: float
    """Peak memory that training added to the process, in MB of 2**20 bytes."""
    curve: tuple[tuple[int, float, float | None], ...]
    """(step, mean training loss since the last point, validation loss or None)."""
    steps: int
    manifest: Mapping[str, Any]


def needs(recipe: Recipe) -> set[str]:
    """The names that only data can fill (`FromData`)."""
    return _holes(recipe)


def _holes(value: Any) -> set[str]:
    if isinstance(value, Unfilled):
        return {value.name}
    if isinstance(value, Part):
        inner: Any = [v for _, v in cast("Part[Any]", value).kw]
    elif isinstance(value, tuple):
        inner = cast("tuple[Any, ...]", value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, f.name) for f in dataclasses.fields(value) if f.init]
    else:
        return set()
    return set[str]().union(*map(_holes, inner))


def altered(recipe: Recipe, settings: Mapping[str, object]) -> Recipe:
    """`recipe.but(**settings)`, "context" left out: it belongs to the windows."""
    return recipe.but(**{path: value for path, value in settings.items() if path != "context"})


def learn(
    recipe: Recipe,
    source: Source,
    validation: Source | None,
    *,
    seed: int,
    steps: int | None,
    seconds: float | None,
    folder: Path | None,
    device: str,
    chosen: Chosen | None,
) -> tuple[Trained, Record]:
    """Fresh weights from `seed`, and the one stage of the recipe. `steps` goes before `seconds`, both before the stage's own.

    Longer than 40 lines because each argument of two calls stands on a line.
    """
    if len(recipe.stages) != 1 or recipe.stages[0].data is not None:
        raise ValueError(f"this task trains recipes of one stage on the user's data; this one has {len(recipe.stages)}")
    stage = recipe.stages[0]
    if steps is not None:
        stage = dataclasses.replace(stage, train=dataclasses.replace(stage.train, steps=steps))
        seconds = None
    where = device_named(device)
    with forked(torch.device("cpu")):
        torch.manual_seed(derive(seed, "weights"))
        model = recipe.build()
    trained = fit(
        model,
        stage,
        source,
        validation,
        seed=seed,
        folder=folder,
        device=device,
        seconds=seconds,
        chosen=chosen,
        recipe=recipe,
    )
    record = Record(
        params=sum(p.numel() for p in model.parameters()),
        train_s=trained.seconds,
        memory_mb=trained.memory_mb,
        curve=trained.curve,
        steps=trained.steps,
        manifest=dataclasses.asdict(
            manifest.describe(stage, source, trained.chosen, seed=seed, device=where, recipe=recipe)
        ),
    )
    return trained, record
