"""What a task is, and which there are: each folder of `tasks/` with a module `task` that meets the contract below."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.data.errors import DataError
from sequary.data.roles import Columns
from sequary.tasks.contract import Contract
from sequary.tasks.fitted import Fit
from sequary.tasks.training import Training

Tell = Callable[[str], None]


class SavedError(DataError):
    """A saved model that cannot be used: one line with the file, what is wrong, and the mend."""


class OtherTask(SavedError, AttributeError):
    """A model was asked for what models of another task do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a user may say of one training. `refuse` names what the task has no use for."""

    horizon: int | None = None
    context: int | None = None
    levels: tuple[float, ...] | None = None
    """Shares of intervals."""
    columns: Columns = Columns()
    seed: int = 0
    steps: int | None = None
    seconds: float | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    """Overrides of the recipe, by path."""
    device: str = "cpu"

    def training(self) -> Training:
        names = ("context", "seed", "steps", "seconds", "settings", "device")
        return Training(**{name: getattr(self, name) for name in names})

    def refuse(self, task: str, **useless: str) -> None:
        """ValueError for a field that is given all the same: `refuse("language", horizon="--horizon")`."""
        for name, flag in useless.items():
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise ValueError(f"{flag} says nothing to {task} models; leave it out")


class Saved:
    """A model out of its folder. Each task extends it by its own verb."""

    verbs: ClassVar[tuple[str, ...]] = ()
    """Methods that a user calls, with their arguments: "predict(df)"."""

    def __init__(self, fitted: Fit, contract: Contract, folder: str) -> None:
        self.fitted, self.contract, self.folder = fitted, contract, folder

    @property
    def task(self) -> str:
        return self.fitted.task

    def __getattr__(self, name: str) -> Any:
        """Only for names that are not here: the verb of another task is told apart from a slip."""
        known = {verb.partition("(")[0] for other in names() for verb in task(other).SAVED.verbs}
        if name not in known:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        raise OtherTask(
            f"this is a model of the task {self.task}", file=self.folder, mend=f"use {' or '.join(self.verbs)}"
        )


class Task(Protocol):
    """A module. Adding a task is adding a folder with one."""

    DATA: str
    """What it learns from, in words: "a table"."""
    CONTRACT: Any
    """A `Contract` with a class method `of(fitted, versions)`."""
    SAVED: type[Saved]

    @staticmethod
    def refuses(recipe: Recipe) -> str | None:
        """Why this recipe does another task than this one; None where it does this one."""
        ...

    @staticmethod
    def reads(path: str) -> bool:
        """Whether this file or folder, by its name alone, is data of the task."""
        ...

    @staticmethod
    def fit(recipe: Recipe, data: str, asked: Asked, tell: Tell) -> Fit:
        """Read the file, say what was understood, train."""
        ...

    @staticmethod
    def reopen(recipe: Recipe, model: Model, contract: Any) -> Fit:
        """What was saved. Raises ValueError where the model is none for this task."""
        ...


@functools.cache
def names() -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in Path(__file__).parent.glob("*/task.py")))


def task(name: str) -> Task:
    """By the name of its folder."""
    return cast(Task, importlib.import_module(f"sequary.tasks.{name}.task"))
