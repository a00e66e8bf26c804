"""Template: the system forecasts better than its baseline, on the same windows, with the same steps and early stopping.

Settings: `data` (ETTh1 or a simulation), `context`, `horizon`, `train` (overrides of both recipes), `grid` (overrides tried for each
of the two, chosen on validation by the first seed), `baseline` (overrides that make the baseline of `against`). Several
baselines, separated by commas: the best counts. The floor is the value a season ago.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sequary.claims.judging import Trial
from sequary.claims.rolling import Rolling
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.data import simulated

MONTH = 30 * 24


class DataMissing(FileNotFoundError):
    """A claim's data are not on this machine."""


def shared(name: str) -> Path:
    """A file of the shared data folder: SEQUARY_DATA, or ../shared/data beside the clone."""
    folder = Path(os.environ.get("SEQUARY_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
    if not (folder / name).is_file():
        raise DataMissing(f"{folder / name} is not there; set SEQUARY_DATA to the folder that holds {name}")
    return folder / name


def etth1(context: int, horizon: int) -> Rolling:
    """ETTh1 with its usual split: 12, 4 and 4 months of 30 days."""
    from sequary.data.frames import read
    from sequary.data.tables import understand

    path = shared("ett/ETTh1.csv")
    panel, _ = understand(read(path), source=str(path))
    return Rolling(panel, (12 * MONTH, 16 * MONTH, 20 * MONTH), context, horizon)


def rolling(settings: Mapping[str, Any], seed: int) -> Rolling:
    """The data of one trial; simulations are drawn anew for each seed."""
    context, horizon = settings["context"], settings["horizon"]
    if settings["data"] == "ETTh1":
        return etth1(context, horizon)
    steps = settings.get("steps", 4000)
    if settings["data"] == "delayed_channels":
        panel = simulated.delayed_channels(steps, pairs=3, delay=horizon, noise=0.1, seed=seed)
    else:
        panel = simulated.demand(steps, useless=6, seed=seed)
    return Rolling(panel, (steps * 6 // 10, steps * 8 // 10, steps), context, horizon)


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    """Both arms and the floor on one seed; `chosen` are the settings of each arm, from `tune`."""
    data = rolling(claim.settings, seed)
    found = {
        name: data.errors(data.run(recipe, chosen[name], seed)[0])[claim.metric]
        for name, recipe in arms(slug, claim).items()
    }
    rivals = [error for name, error in found.items() if name != "system"]
    floor = data.naive(max(data.panel.frequency.season, 1))[claim.metric]
    return Trial(seed, found["system"], min(rivals), floor)


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    """ "system", and each baseline by its slug."""
    named = {"system": slug} | {name: name for name in (claim.against or "").split(",")}
    recipes = {arm: load(name).recipe for arm, name in named.items()}
    train = claim.settings.get("train", {})
    return {
        arm: recipe.but(**train, **(claim.settings.get("baseline", {}) if arm != "system" else {}))
        for arm, recipe in recipes.items()
        if recipe is not None
    }


def tune(slug: str, claim: Claim) -> dict[str, dict[str, Any]]:
    """For each arm the settings of the grid that are best on validation, with the first seed: equal tuning for all."""
    grid: Mapping[str, tuple[Any, ...]] = claim.settings.get("grid", {})
    data = rolling(claim.settings, 0)
    best: dict[str, dict[str, Any]] = {}
    for arm, recipe in arms(slug, claim).items():
        options = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        scores = [data.run(recipe, option, 0)[1] for option in options] if len(options) > 1 else [0.0]
        best[arm] = options[scores.index(min(scores))]
    return best
