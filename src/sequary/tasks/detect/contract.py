"""What a saved detector was fitted on, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sequary.tasks.contract import Count, Kept, Numbers, Strict
from sequary.tasks.detect.alarms import Threshold
from sequary.tasks.detect.fitted import Fitted
from sequary.tasks.tables import TableContract


class Heights(Strict):
    """`Threshold`: the peaks of held-out scores, descending, the steps that they come from, and how far peaks are apart."""

    heights: Numbers = Field(min_length=1)
    steps: Count
    apart: Count


class Contract(TableContract):
    task: Literal["detect"] = "detect"
    threshold: Heights

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        if list(self.threshold.heights) != sorted(self.threshold.heights, reverse=True):
            raise ValueError("the peaks of the threshold do not descend")
        return self

    @classmethod
    def of(cls, fitted: Fitted, versions: Mapping[str, str]) -> Self:
        threshold = fitted.threshold
        return cls(
            versions=dict(versions),
            context=fitted.context,
            **cls.told(fitted.schema, fitted.scaler),
            threshold=Heights(heights=tuple(threshold.heights), steps=threshold.steps, apart=threshold.apart),
            record=Kept.of(fitted.record),
        )

    def threshold_(self) -> Threshold:
        return Threshold(np.array(self.threshold.heights), self.threshold.steps, self.threshold.apart)
