"""What candidates of every task have in common: who takes part, and what came of learning. Each task adds what it asks of both."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar

from sequary.compare.ask import Ask
from sequary.core import catalogue
from sequary.core.catalogue import System
from sequary.core.recipe import Recipe
from sequary.tasks.fitted import Fit
from sequary.tasks.training import Training
from sequary.train.manifest import Chosen

Kind = Literal["floor", "rival", "system"]
Point = tuple[int, float, float | None]
F = TypeVar("F", bound=Fit)
MOST = 8
"""Settings that one system tries."""


class Learned(Protocol):
    """What came of learning."""

    @property
    def params(self) -> int: ...
    @property
    def train_s(self) -> float: ...
    @property
    def curve(self) -> list[Point]: ...
    @property
    def fixed(self) -> dict[str, Any]:
        """What was chosen by measuring (precision, batch): part of the setting of a replay."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Untrained:
    """Of a floor or a rival: no steps were taken."""

    params: int = 0
    train_s: float = 0.0
    curve: list[Point] = dataclasses.field(default_factory=list[Point])
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Trained(Generic[F]):
    """Of a system."""

    fitted: F

    @property
    def params(self) -> int:
        return self.fitted.params

    @property
    def train_s(self) -> float:
        return self.fitted.train_s

    @property
    def curve(self) -> list[Point]:
        return list(self.fitted.curve)

    @property
    def fixed(self) -> dict[str, Any]:
        """Precision and batch, as measured."""
        chosen = self.fitted.manifest["chosen"]
        return {"precision": chosen["precision"], "batch": chosen["batch"]}


@dataclasses.dataclass(frozen=True, slots=True)
class Ordinary:
    """A floor or a rival."""

    id: str
    title: str
    kind: Kind = dataclasses.field(default="floor", kw_only=True)
    seeded: bool = dataclasses.field(default=False, kw_only=True)
    """Whether another seed gives another result."""
    trained: bool = dataclasses.field(default=False, init=False)

    def settings(self) -> list[dict[str, Any]]:
        return [{}]

    def light(self) -> dict[str, Any]:
        """What makes a replay by the leak probe quick, beside the setting that is asked for."""
        return {}


@dataclasses.dataclass(frozen=True, slots=True)
class Catalogued:
    """A system. `id` is what `catalogue.load` takes: a slug, an alias, or the path of a file."""

    id: str
    title: str
    kind: Kind = "system"
    seeded: bool = True
    trained: bool = True

    @property
    def system(self) -> System:
        return catalogue.load(self.id)

    @property
    def recipe(self) -> Recipe:
        recipe = self.system.recipe
        assert recipe is not None
        return recipe

    def settings(self) -> list[dict[str, Any]]:
        """What a comparison tries: the recipe's own values first, then those that differ in one place, then the rest.

        Where the system does not say what is worth trying, that is the learning rate of its last stage.
        """
        last, rate = len(self.recipe.stages) - 1, self.recipe.stages[-1].train.lr
        tune = self.system.tune or {f"stages__{last}__train__lr": (rate, rate / 3, rate * 3)}
        choices = itertools.product(*(range(len(values)) for values in tune.values()))
        order = sorted(choices, key=lambda at: (sum(map(bool, at)), at))
        return [{path: values[i] for (path, values), i in zip(tune.items(), at, strict=True)} for at in order][:MOST]

    def light(self) -> dict[str, Any]:
        """What makes a replay by the leak probe quick, beside the setting that is asked for."""
        return {"precision": "full", "batch": 4}

    def training(self, ask: Ask) -> Training:
        """In each stage the validation part is looked at as often as is asked."""
        every = {f"stages__{i}__train__evaluate_every": ask.every for i in range(len(self.recipe.stages))}
        return Training(seed=ask.seed, steps=ask.steps, settings={**plain(ask.setting), **every}, chosen=frozen(ask))


def plain(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Without what `frozen` reads."""
    return {k: v for k, v in setting.items() if k not in ("precision", "batch")}


def frozen(ask: Ask) -> Chosen | None:
    """What was measured once and is replayed; None while it is not yet measured."""
    if "precision" not in ask.setting:
        return None
    return Chosen(precision=ask.setting["precision"], steps=ask.steps or 1, batch=ask.setting["batch"])
