"""A fitted model, whatever its task: the recipe as bound, the weights, and the record of the training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.tasks.training import Record


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What each task's own `Fitted` extends by what it must remember of its data."""

    task: ClassVar[str]
    """The folder of `tasks/` that this belongs to."""
    recipe: Recipe
    """As bound: it rebuilds the shapes."""
    model: Model
    context: int
    """Steps (or symbols, pixels of a side …) of one window."""
    record: Record
    device: str = "cpu"

    @property
    def params(self) -> int:
        return self.record.params

    @property
    def train_s(self) -> float:
        return self.record.train_s

    @property
    def curve(self) -> tuple[tuple[int, float, float | None], ...]:
        return self.record.curve

    @property
    def memory_mb(self) -> float:
        return self.record.memory_mb

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.record.manifest
