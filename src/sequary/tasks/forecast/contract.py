"""What a saved forecaster was fitted on, as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import FiniteFloat, model_validator

from sequary.data.panel import Panel
from sequary.data.roles import Columns
from sequary.data.scaling import Columns as Scaled
from sequary.data.scaling import Scaler
from sequary.tasks.contract import Count, Kept, Numbers, Strict
from sequary.tasks.forecast.conformal import Conformal
from sequary.tasks.forecast.fitted import Fitted
from sequary.tasks.tables import Affine, Laid, Sizes, affine, laid, pairs


class Covariates(Affine):
    missing: Numbers

    def columns(self) -> Scaled:
        return Scaled(np.array(self.shift), np.array(self.size), np.array(self.missing))


class Scales(Strict):
    """`Scaler`: shift and size of each channel of each series, and of each covariate."""

    values: dict[str, Affine]
    past: Covariates
    future: Covariates
    static: Covariates

    def scaler(self) -> Scaler:
        return Scaler(
            values=pairs(self.values),
            past=self.past.columns(),
            future=self.future.columns(),
            static=self.static.columns(),
        )


class Contract(Laid):
    task: Literal["forecast"] = "forecast"
    horizon: Count
    levels: Numbers
    """Shares of the intervals."""
    past: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    scales: Scales
    ranges: dict[str, tuple[FiniteFloat, FiniteFloat, FiniteFloat]]
    """Column -> least, greatest, share of missing ones."""
    conformal: Sizes
    difficulty: dict[str, Numbers] = {}
    """Series -> unit of the conformal sizes for each channel. Models of before have none, and need none where `native`."""
    native: bool

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        widths = {"channels": (len(self.channels), tuple(self.scales.values.values()))}
        for kind in ("past", "future", "static"):
            widths[kind] = (len(getattr(self, kind)), (getattr(self.scales, kind),))
        for kind, (width, scales) in widths.items():
            if any({len(s.shift), len(s.size)} != {width} for s in scales):
                raise ValueError(f"the scales of {kind} are not those of {width} columns")
        if {len(self.conformal.sizes), len(self.conformal.origins)} != {self.horizon}:
            raise ValueError(f"{len(self.conformal.sizes)} conformal steps for horizon={self.horizon}")
        if not self.native and self.difficulty.keys() != self.scales.values.keys():
            raise ValueError(
                "there is no difficulty of each series: an earlier sequary wrote it, whose intervals depended on how much"
                " of a table was given"
            )
        if any(len(d) != len(self.channels) or min(d) <= 0 for d in self.difficulty.values()):
            raise ValueError(f"the difficulties are not those of {len(self.channels)} channels, all above 0")
        return self

    @classmethod
    def of(cls, fitted: Fitted, versions: Mapping[str, str]) -> Self:
        schema, scaler = fitted.schema, fitted.scaler
        return cls(
            versions=dict(versions),
            horizon=fitted.horizon,
            context=fitted.context,
            levels=fitted.levels,
            **laid(schema),
            past=schema.past,
            future=schema.future,
            static=schema.static,
            categories=schema.categories,
            scales=Scales(
                values=affine(scaler),
                past=_one(scaler.past),
                future=_one(scaler.future),
                static=_one(scaler.static),
            ),
            ranges=dict(fitted.ranges),
            conformal=Sizes(sizes=tuple(tuple(s) for s in fitted.conformal.sizes), origins=fitted.conformal.origins),
            difficulty={id: tuple(one) for id, one in fitted.difficulty.items()},
            native=fitted.native,
            record=Kept.of(fitted.record),
        )

    def columns(self) -> Columns:
        return dataclasses.replace(super().columns(), static=self.static, past=self.past, future=self.future)

    def schema_(self) -> Panel:
        kinds = {"past": self.past, "future": self.future, "static": self.static}
        return dataclasses.replace(super().schema_(), **kinds, categories=dict(self.categories))

    def intervals(self) -> Conformal:
        return Conformal(tuple(np.array(s, float) for s in self.conformal.sizes), self.conformal.origins)


def _one(scaled: Scaled) -> Covariates:
    return Covariates(shift=tuple(scaled.shift), size=tuple(scaled.size), missing=tuple(scaled.missing))
