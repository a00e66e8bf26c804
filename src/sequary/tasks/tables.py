"""What a saved model of tables remembers of them, as JSON: columns, step of time, the scale of each series."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sequary.data.panel import Frequency, Panel
from sequary.data.roles import Columns
from sequary.data.scaling import Columns as Scaled
from sequary.data.scaling import Scaler
from sequary.tasks import contract
from sequary.tasks.contract import Count, Numbers, Strict


class Affine(Strict):
    shift: Numbers
    size: Numbers


class Grid(Strict):
    every: Annotated[str, Field(pattern=r"^[1-9]\d*(i|us|ms|s|m|h|d|w|mo|q|y)$")]
    season: Count
    day: Annotated[int, Field(ge=1, le=31)] | None = None

    @classmethod
    def of(cls, frequency: Frequency) -> Self:
        return cls(**dataclasses.asdict(frequency))

    def frequency(self) -> Frequency:
        return Frequency(self.every, self.season, self.day)


class Sizes(Strict):
    """`Conformal`: for each group (a step ahead, a distance) the sizes of scaled errors, ascending, and how many origins are behind
    them."""

    sizes: tuple[Numbers, ...]
    origins: tuple[int, ...]


class Laid(contract.Contract):
    """How the table of the training data is laid out."""

    layout: Literal["long", "wide"]
    time: str
    id: str | None
    channels: tuple[str, ...]
    frequency: Grid

    def columns(self) -> Columns:
        """What each column is, as `tables.understand` takes it."""
        return Columns(time=self.time, id=self.id, target=self.channels, static=(), past=(), future=())

    def schema_(self) -> Panel:
        """The panel of the training data, without its series."""
        return Panel(
            series=(),
            channels=self.channels,
            frequency=self.frequency.frequency(),
            layout=self.layout,
            time_name=self.time,
            id_name=self.id or "unique_id",
        )


class TableContract(Laid):
    """Of tasks that look at the targets of a table alone."""

    scales: dict[str, Affine]
    """Shift and size of each channel of each series."""

    @model_validator(mode="after")
    def as_wide_as_the_channels(self) -> Self:
        width = len(self.channels)
        if any({len(s.shift), len(s.size)} != {width} for s in self.scales.values()):
            raise ValueError(f"the scales are not those of {width} channels")
        return self

    @staticmethod
    def told(schema: Panel, scaler: Scaler) -> dict[str, Any]:
        """The fields of this and of `Laid`, of a fitted model."""
        return {**laid(schema), "scales": affine(scaler)}

    def scaler(self) -> Scaler:
        none = Scaled(np.empty(0), np.empty(0), np.empty(0))
        return Scaler(values=pairs(self.scales), past=none, future=none, static=none)


def laid(schema: Panel) -> dict[str, Any]:
    """The fields of `Laid`."""
    return {
        "layout": schema.layout,
        "time": schema.time_name,
        "id": schema.id_name if schema.layout == "long" else None,
        "channels": schema.channels,
        "frequency": Grid.of(schema.frequency),
    }


def affine(scaler: Scaler) -> dict[str, Affine]:
    return {id: Affine(shift=tuple(shift), size=tuple(size)) for id, (shift, size) in scaler.values.items()}


def pairs(scales: Mapping[str, Affine]) -> dict[str, Any]:
    """`Scaler.values`."""
    return {id: (np.array(one.shift), np.array(one.size)) for id, one in scales.items()}
