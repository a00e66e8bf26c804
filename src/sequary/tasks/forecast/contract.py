"""What a saved forecaster was fitted on, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from sequary.data.panel import Frequency, Panel
from sequary.data.roles import Columns
from sequary.data.scaling import Columns as Scaled
from sequary.data.scaling import Scaler
from sequary.tasks import contract
from sequary.tasks.contract import Count, Kept, Numbers, Strict
from sequary.tasks.forecast.conformal import Conformal
from sequary.tasks.forecast.fitted import Fitted


class Affine(Strict):
    shift: Numbers
    size: Numbers


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
            values={id: (np.array(one.shift), np.array(one.size)) for id, one in self.values.items()},
            past=self.past.columns(),
            future=self.future.columns(),
            static=self.static.columns(),
        )


class Grid(Strict):
    every: Annotated[str, Field(pattern=r"^[1-9]\d*(i|us|ms|s|m|h|d|w|mo|q|y)$")]
    season: Count


class Sizes(Strict):
    """`Conformal`: for each step ahead the sizes of scaled errors, ascending, and the number of origins behind them."""

    sizes: tuple[Numbers, ...]
    origins: tuple[int, ...]


class Contract(contract.Contract):
    task: Literal["forecast"] = "forecast"
    horizon: Count
    levels: Numbers
    """Shares of the intervals."""
    layout: Literal["long", "wide"]
    time: str
    id: str | None
    channels: tuple[str, ...]
    past: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    frequency: Grid
    scales: Scales
    ranges: dict[str, tuple[FiniteFloat, FiniteFloat, FiniteFloat]]
    """Column -> least, greatest, share of missing ones."""
    conformal: Sizes
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
        return self

    @classmethod
    def of(cls, fitted: Fitted, versions: Mapping[str, str]) -> Self:
        schema, scaler = fitted.schema, fitted.scaler
        values = {id: Affine(shift=tuple(shift), size=tuple(size)) for id, (shift, size) in scaler.values.items()}
        return cls(
            versions=dict(versions),
            horizon=fitted.horizon,
            context=fitted.context,
            levels=fitted.levels,
            layout=schema.layout,
            time=schema.time_name,
            id=schema.id_name if schema.layout == "long" else None,
            channels=schema.channels,
            past=schema.past,
            future=schema.future,
            static=schema.static,
            categories=schema.categories,
            frequency=Grid(every=schema.frequency.every, season=schema.frequency.season),
            scales=Scales(
                values=values, past=_one(scaler.past), future=_one(scaler.future), static=_one(scaler.static)
            ),
            ranges=dict(fitted.ranges),
            conformal=Sizes(sizes=tuple(tuple(s) for s in fitted.conformal.sizes), origins=fitted.conformal.origins),
            native=fitted.native,
            record=Kept.of(fitted.record),
        )

    def columns(self) -> Columns:
        """What each column is, as `tables.understand` takes it."""
        return Columns(
            time=self.time, id=self.id, target=self.channels, static=self.static, past=self.past, future=self.future
        )

    def schema_(self) -> Panel:
        """The panel of the training data, without its series."""
        return Panel(
            series=(),
            channels=self.channels,
            frequency=Frequency(self.frequency.every, self.frequency.season),
            past=self.past,
            future=self.future,
            static=self.static,
            categories=dict(self.categories),
            layout=self.layout,
            time_name=self.time,
            id_name=self.id or "unique_id",
        )

    def intervals(self) -> Conformal:
        return Conformal(tuple(np.array(s, float) for s in self.conformal.sizes), self.conformal.origins)


def _one(scaled: Scaled) -> Covariates:
    return Covariates(shift=tuple(scaled.shift), size=tuple(scaled.size), missing=tuple(scaled.missing))
