"""Systems of the catalogue (or of a user's file) as entrants, and which of them take part."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sequary.compare import candidates
from sequary.compare.ask import Ask
from sequary.compare.candidates import Catalogued
from sequary.compare.folds import Origin, known
from sequary.compare.scoring import probabilities
from sequary.core import catalogue
from sequary.core.catalogue import System, UnknownSystem
from sequary.data.panel import Forecast, Panel
from sequary.tasks.forecast.fitted import Fitted
from sequary.tasks.forecast.train import train
from sequary.tasks.task import task as task_named

FORECASTERS = ("dlinear", "nlinear", "itransformer", "patchtst", "temporal-fusion-transformer")
"""Who takes part when nobody is named: the plain forecasters that published comparisons measure others by."""
SPEAKERS = ("gpt", "gla", "mamba")
"""The same for text."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trained(candidates.Trained[Fitted]):
    def forecast(self, panel: Panel, origin: Origin, ask: Ask) -> list[Forecast]:
        return self.fitted.forecast(known(panel, origin)[0], probabilities(ask.levels))


@dataclasses.dataclass(frozen=True, slots=True)
class SystemEntrant(Catalogued):
    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Trained:
        return Trained(self.fit(known(panel, origin)[0], ask))

    def fit(self, panel: Panel, ask: Ask) -> Fitted:
        """On all that a panel holds."""
        return train(self.recipe, panel, self.training(ask), horizon=ask.horizon, levels=ask.levels)


def select(
    names: Sequence[str] | None, family: str | None, *, task: str, default: Sequence[str]
) -> list[tuple[str, str]]:
    """(id, title) of those named, of a family, or of the default ones that are built.

    Raises:
        UnknownSystem: no such system or family, or one that does another task.
    """
    if names is None and family is None:
        names = [name for name in default if catalogue.aliases().get(name, name) in catalogue.files()]
    elif names is None:
        names = _family(str(family), task)
    found: dict[Any, tuple[str, str]] = {}
    for name in dict.fromkeys(names):
        system = catalogue.load(name)
        _check(name, system, task)
        title = system.card.title if name == system.id or name.endswith(".py") else f"{name}, of {system.card.title}"
        same = str(Path(name).resolve()) if name.endswith(".py") else (system.id, system.variant)
        found.setdefault(same, (name, title))  # an alias may name what another word named before
    return list(found.values())


def families(task: str) -> dict[str, list[str]]:
    """Theme or kind -> slugs of built systems that do that task."""
    found: dict[str, list[str]] = {}
    for slug, path in catalogue.files().items():
        system = catalogue.load(slug)
        if _unsuited(system, task) is None:
            for family in dict.fromkeys((Path(path).parent.name, system.card.kind)):
                found.setdefault(family, []).append(slug)
    return found


def _family(family: str, task: str) -> list[str]:
    built = families(task)
    if family not in built:
        known = ", ".join(sorted(built)) or "none"
        raise UnknownSystem(f"no built system of family {family!r} does {task}; there are {known}")
    return built[family]


def _check(name: str, system: System, task: str) -> None:
    if system.recipe is None:
        raise UnknownSystem(
            f"{name} has no recipe to train ({system.card.kind}); `sequary show {name}` says what it is"
        )
    reason = _unsuited(system, task)
    if reason is not None:
        offered = ", ".join(sorted({slug for slugs in families(task).values() for slug in slugs}))
        raise UnknownSystem(f"{name} cannot be compared here: {reason}; try {offered}")


def _unsuited(system: System, task: str) -> str | None:
    """Why a system does another task; None where it does this one."""
    return "it has no recipe to train" if system.recipe is None else task_named(task).refuses(system.recipe)
