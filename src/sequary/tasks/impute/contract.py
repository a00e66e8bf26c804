"""What a saved imputer was fitted on, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from sequary.tasks.contract import Kept
from sequary.tasks.forecast.conformal import Conformal
from sequary.tasks.impute.fitted import Fitted
from sequary.tasks.impute.intervals import BINS, Intervals
from sequary.tasks.tables import Sizes, TableContract


class Contract(TableContract):
    task: Literal["impute"] = "impute"
    intervals: Sizes
    """Of each channel and distance in turn."""

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        width = len(self.channels)
        if {len(self.intervals.sizes), len(self.intervals.origins)} != {BINS * width}:
            raise ValueError(f"{len(self.intervals.sizes)} groups of errors for {BINS} distances of {width} channels")
        return self

    @classmethod
    def of(cls, fitted: Fitted, versions: Mapping[str, str]) -> Self:
        groups = fitted.intervals.groups
        return cls(
            versions=dict(versions),
            context=fitted.context,
            **cls.told(fitted.schema, fitted.scaler),
            intervals=Sizes(sizes=tuple(tuple(s) for s in groups.sizes), origins=groups.origins),
            record=Kept.of(fitted.record),
        )

    def intervals_(self) -> Intervals:
        return Intervals(Conformal(tuple(np.array(s, float) for s in self.intervals.sizes), self.intervals.origins))
