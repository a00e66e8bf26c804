"""What all tasks share: a recipe and its data in, a trained model and its record out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch

from sequary.core.contracts import Model
from sequary.core.part import Part, Unfilled
from sequary.core.recipe import Recipe
from sequary.train import manifest
from sequary.train.device import device as device_named
from sequary.train.loop import Trained, fit
from sequary.train.manifest import Chosen
from sequary.train.seeds import derive, forked
from sequary.train.source import Source

Between = Callable[[Model, Source, Source | None], tuple[Source, Source | None]]
"""(the model as a stage left it, what that stage learnt from, its validation) -> the same of the next stage."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a model came about. Curve, steps and manifest are those of the last stage."""

    params: int
    train_s: float
    """Of all stages."""
    memory_mb: float
    """Peak memory that training added to the process, in MB of 2**20 bytes."""
    curve: tuple[tuple[int, float, float | None], ...]
    """(step, mean training loss since the last point, validation loss or None)."""
    steps: int
    manifest: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What every task's `train` is told of the training itself."""

    seed: int
    context: int | None = None
    """Steps or bytes of a window; `settings["context"]` goes before it; both missing: the task's own choice."""
    steps: int | None = None
    """Of the last stage; those before keep their ratio to it. They go before `seconds`, both before the stages' own."""
    seconds: float | None = None
    """Of all stages, shared in the ratio of their steps."""
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict[str, object])
    """Overrides of the recipe by path, as `Recipe.but` takes them."""
    folder: Path | None = None
    """For manifests and checkpoints: the same call again continues."""
    device: str = "cpu"
    chosen: Chosen | None = None
    """What an earlier run measured, to be replayed: precision, batch and form for every stage, the steps of the last one."""

    def window(self, default: Callable[[], int]) -> int:
        given = self.settings.get("context", self.context)
        return default() if given is None else int(str(given))

    def at(self, recipe: Recipe) -> Recipe:
        """The recipe under the settings."""
        return altered(recipe, self.settings)


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


def filled(recipe: Recipe, by: str) -> Recipe:
    """The recipe, where nothing is left that `by`, the kind of data, does not tell."""
    if needs(recipe):
        wanted = ", ".join(sorted(needs(recipe)))
        raise ValueError(f"the recipe asks for {wanted}, which {by} do not tell; use --set")
    return recipe


def altered(recipe: Recipe, settings: Mapping[str, object]) -> Recipe:
    """`recipe.but(**settings)`, "context" left out: it belongs to the windows."""
    return recipe.but(**{path: value for path, value in settings.items() if path != "context"})


def learn(
    recipe: Recipe,
    source: Source,
    validation: Source | None,
    asked: Training,
    *,
    between: Between | None = None,
) -> tuple[Trained, Record]:
    """Fresh weights from the seed, and the stages of the recipe one after the other, each on the user's data.

    Longer than 40 lines because each argument of two calls stands on a line.

    The recipe is taken as it is: `asked.settings` and `asked.context` are the caller's. `between` is called after every stage but
    the last; None: all learn from the same.
    """
    if not recipe.stages or any(stage.data is not None for stage in recipe.stages):
        raise ValueError(
            f"{recipe.model.name} has no stage that trains on the user's data alone; choose another system"
        )
    where, last = device_named(asked.device), recipe.stages[-1].train.steps
    chosen, folder, seconds = asked.chosen, asked.folder, asked.seconds
    wanted = chosen.steps if chosen is not None else asked.steps
    own = sum(stage.train.steps for stage in recipe.stages)
    with forked(torch.device("cpu")):
        torch.manual_seed(derive(asked.seed, "weights"))
        model = recipe.build()
    record, trained = None, None
    for number, stage in enumerate(recipe.stages):
        if number and between is not None:
            source, validation = between(model, source, validation)
        if wanted is not None:
            count = max(1, round(wanted * stage.train.steps / last))
            stage = dataclasses.replace(stage, train=dataclasses.replace(stage.train, steps=count))
        at = asked.seed if number == 0 else derive(asked.seed, f"stage {number}")
        trained = fit(
            model,
            stage,
            source,
            validation,
            seed=at,
            folder=folder if folder is None or len(recipe.stages) == 1 else folder / stage.name,
            device=asked.device,
            seconds=None if wanted is not None or seconds is None else seconds * stage.train.steps / own,
            chosen=None if chosen is None else dataclasses.replace(chosen, steps=stage.train.steps),
            recipe=recipe,
        )
        about = manifest.describe(stage, source, trained.chosen, seed=at, device=where, recipe=recipe)
        record = Record(
            params=sum(p.numel() for p in model.parameters()),
            train_s=trained.seconds + (record.train_s if record else 0.0),
            memory_mb=max(trained.memory_mb, record.memory_mb if record else 0.0),
            curve=trained.curve,
            steps=trained.steps,
            manifest=dataclasses.asdict(about),
        )
    assert trained is not None
    assert record is not None
    return trained, record
