"""`sequary fit`: one system, trained on a table or a text, as a folder that `sequary predict` reads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sequary.cli import values
from sequary.compare.durations import seconds
from sequary.core.catalogue import System, UnknownSystem, load
from sequary.core.contracts import Forecasts
from sequary.core.plain import RecipeError
from sequary.core.recipe import Recipe
from sequary.data.frames import read
from sequary.data.panel import Panel
from sequary.data.roles import Columns
from sequary.data.tables import check_lengths, understand
from sequary.data.texts import is_text, read_text
from sequary.tasks import forecasting, language
from sequary.tasks.folders import check_folder
from sequary.tasks.saved import CONTRACT, save
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
    levels: Sequence[float] = (0.8, 0.95),
    columns: Columns = Columns(),
    as_json: bool = False,
) -> int:
    """`settings` are words PATH=VALUE; `horizon` None: one season, or 12 steps where there is none; `out` None: SYSTEM-model."""
    text = is_text(data)
    recipe = _recipe(load(system), "text" if text else "timeseries")
    folder = out or f"{Path(system).stem}-model"
    check_folder(Path(folder), mark=CONTRACT)
    common = _common(recipe, context=context, seed=seed, steps=steps, budget=budget, settings=settings, device=device)
    talk = (lambda line: None) if as_json else print
    if text:
        fitted = language.train(recipe, read_text(data), **common)
    else:
        panel, steps_ahead = _panel(data, columns, horizon, talk)
        fitted = forecasting.train(recipe, panel, horizon=steps_ahead, levels=levels, **common)
        _tell_padded(panel, fitted.context, steps_ahead, talk)
    save(fitted, folder)
    _print(system, fitted, folder, as_json=as_json)
    return 0


def _common(
    recipe: Recipe,
    *,
    context: int | None,
    seed: int,
    steps: int | None,
    budget: str | None,
    settings: Sequence[str],
    device: str,
) -> dict[str, Any]:
    """The arguments of both trainings, checked before any data is read."""
    if steps is not None and budget is not None:
        raise ValueError("--steps and --budget are both given; give one")
    for flag, number in (("--steps", steps), ("--context", context)):
        if number is not None and number < 1:
            raise ValueError(f"{flag} {number}: at least 1 is needed")
    changes = values.settings(settings)
    _check(recipe, changes)
    device_named(device)
    return {
        "context": context,
        "seed": seed,
        "steps": steps,
        "seconds": None if budget is None else _seconds(budget),
        "settings": changes,
        "device": device,
    }


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


def _recipe(found: System, modality: str) -> Recipe:
    if found.recipe is None:
        raise UnknownSystem(f"{found.id} has no recipe to train; `sequary show {found.id}` says what it is")
    kinds = found.card.modalities
    if kinds and modality not in kinds:
        wanted = {"text": "a text", "timeseries": "a table"}[modality]
        raise UnknownSystem(
            f"{found.id} is for {', '.join(kinds)}, and this is {wanted}; see `sequary systems --modality {modality}`"
        )
    made = found.recipe.model.cls
    if modality == "timeseries" and not (isinstance(made, type) and issubclass(made, Forecasts)):
        raise UnknownSystem(
            f"{found.id} does not forecast ({found.card.kind}); see `sequary systems --kind forecasting`"
        )
    return found.recipe


def _panel(data: str, columns: Columns, horizon: int | None, talk: Callable[[str], None]) -> tuple[Panel, int]:
    """The series that are long enough, and the horizon."""
    if horizon is not None and horizon < 1:
        raise ValueError(f"--horizon {horizon}: at least one step is needed")
    panel, understood = understand(read(data), source=data, columns=columns)
    season = panel.frequency.season
    ahead = horizon or (season if 1 < season <= 96 else 12)
    panel, short = check_lengths(panel, ahead + 1)
    for line in (*understood.lines(), *(f"note: {line}" for line in short)):
        talk(line)
    if horizon is None:
        talk(f"horizon: {ahead}, since none is given ({'one season' if ahead == season else 'no short season'})")
    return panel, ahead


def _tell_padded(panel: Panel, context: int, ahead: int, talk: Callable[[str], None]) -> None:
    """Names the series that are shorter than a window: they take part, padded."""
    short = [s.id for s in panel.series if len(s) < context + ahead]
    if short:
        named = ", ".join(map(repr, short[:5])) + (f" and {len(short) - 5:,} more" if len(short) > 5 else "")
        talk(f"note: shorter than context {context} + horizon {ahead}, so that windows begin with padding: {named}")


def _print(system: str, fitted: Any, folder: str, *, as_json: bool) -> None:
    record = fitted.record
    last = record.curve[-1][1:] if record.curve else (None, None)
    facts = {
        "system": system,
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
