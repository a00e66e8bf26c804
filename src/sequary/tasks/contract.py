"""The data contract of a saved model: what it was fitted on, in JSON that is checked before anything is built from it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from sequary.tasks.training import Record

FORMAT = 1
Numbers = tuple[FiniteFloat, ...]
Count = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kept(Strict):
    """`Record`, as JSON."""

    params: int
    train_s: float
    memory_mb: float
    curve: tuple[tuple[int, float, float | None], ...]
    steps: int
    manifest: dict[str, JsonValue]

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(
            params=record.params,
            train_s=record.train_s,
            memory_mb=record.memory_mb,
            curve=record.curve,
            steps=record.steps,
            manifest=dict(record.manifest),
        )

    def record(self) -> Record:
        return Record(**dict(self))


class Contract(Strict):
    """What every task's contract holds. Each adds `task: Literal[its own name]`, the folder of `tasks/` that reads it."""

    format: Literal[1] = FORMAT
    versions: dict[str, str]
    context: Count
    record: Kept
