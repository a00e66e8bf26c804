"""What a saved classifier was fitted on, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from sequary.tasks import contract
from sequary.tasks.classify.fitted import RANGE, Fitted
from sequary.tasks.classify.labelled import Form
from sequary.tasks.contract import Kept
from sequary.tasks.tables import Affine, Grid


class Contract(contract.Contract):
    task: Literal["classify"] = "classify"
    kind: Literal["table", "recordings"]
    time: str
    id: str
    channels: tuple[str, ...]
    frequency: Grid
    rate: int
    """Hz; 0 for tables."""
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    scale: Affine
    temperature: Annotated[FiniteFloat, Field(ge=RANGE[0], le=RANGE[1])]

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        width = len(self.channels)
        if {len(self.scale.shift), len(self.scale.size)} != {width}:
            raise ValueError(f"the scale is not that of {width} channels")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have the same name")
        return self

    @classmethod
    def of(cls, fitted: Fitted, versions: Mapping[str, str]) -> Self:
        form, (shift, size) = fitted.form, fitted.scale
        return cls(
            versions=dict(versions),
            context=fitted.context,
            kind=form.kind,
            time=form.time,
            id=form.id,
            channels=form.channels,
            frequency=Grid.of(form.frequency),
            rate=form.rate,
            classes=fitted.classes,
            scale=Affine(shift=tuple(shift), size=tuple(size)),
            temperature=fitted.temperature,
            record=Kept.of(fitted.record),
        )

    def known(self) -> dict[str, Any]:
        """The fields of `Fitted` that are this task's own."""
        form = Form(
            kind=self.kind,
            channels=self.channels,
            time=self.time,
            id=self.id,
            frequency=self.frequency.frequency(),
            rate=self.rate,
        )
        scale = (np.array(self.scale.shift), np.array(self.scale.size))
        return {"form": form, "classes": self.classes, "scale": scale, "temperature": self.temperature}
