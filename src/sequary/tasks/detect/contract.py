"""What a saved detector was fitted on, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sequary.data.panel import Frequency, Panel
from sequary.data.roles import Columns
from sequary.data.scaling import Columns as Scaled
from sequary.data.scaling import Scaler
from sequary.tasks import contract
from sequary.tasks.contract import Count, Kept, Numbers, Strict
from sequary.tasks.detect.alarms import Threshold
from sequary.tasks.detect.fitted import Fitted
from sequary.tasks.forecast.contract import Affine, Grid


class Heights(Strict):
    """`Threshold`: the peaks of held-out scores, descending, the steps that they come from, and how far peaks are apart."""

    heights: Numbers = Field(min_length=1)
    steps: Count
    apart: Count


class Contract(contract.Contract):
    task: Literal["detect"] = "detect"
    layout: Literal["long", "wide"]
    time: str
    id: str | None
    channels: tuple[str, ...]
    frequency: Grid
    scales: dict[str, Affine]
    """Shift and size of each channel of each series."""
    threshold: Heights

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        width = len(self.channels)
        if any({len(s.shift), len(s.size)} != {width} for s in self.scales.values()):
            raise ValueError(f"the scales are not those of {width} channels")
        if list(self.threshold.heights) != sorted(self.threshold.heights, reverse=True):
            raise ValueError("the peaks of the threshold do not descend")
        return self

    @classmethod
    def of(cls, fitted: Fitted, versions: Mapping[str, str]) -> Self:
        schema, threshold = fitted.schema, fitted.threshold
        return cls(
            versions=dict(versions),
            context=fitted.context,
            layout=schema.layout,
            time=schema.time_name,
            id=schema.id_name if schema.layout == "long" else None,
            channels=schema.channels,
            frequency=Grid(every=schema.frequency.every, season=schema.frequency.season),
            scales={i: Affine(shift=tuple(a), size=tuple(b)) for i, (a, b) in fitted.scaler.values.items()},
            threshold=Heights(heights=tuple(threshold.heights), steps=threshold.steps, apart=threshold.apart),
            record=Kept.of(fitted.record),
        )

    def columns(self) -> Columns:
        """What each column is, as `tables.understand` takes it."""
        return Columns(time=self.time, id=self.id, target=self.channels, static=(), past=(), future=())

    def schema_(self) -> Panel:
        """The panel of the training data, without its series."""
        return Panel(
            series=(),
            channels=self.channels,
            frequency=Frequency(self.frequency.every, self.frequency.season),
            layout=self.layout,
            time_name=self.time,
            id_name=self.id or "unique_id",
        )

    def scaler(self) -> Scaler:
        none = Scaled(np.empty(0), np.empty(0), np.empty(0))
        values = {id: (np.array(one.shift), np.array(one.size)) for id, one in self.scales.items()}
        return Scaler(values=values, past=none, future=none, static=none)

    def threshold_(self) -> Threshold:
        return Threshold(np.array(self.threshold.heights), self.threshold.steps, self.threshold.apart)
