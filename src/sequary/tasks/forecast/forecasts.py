"""Forecasts as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from sequary.data.panel import Forecast, Panel


def table(found: list[Forecast], panel: Panel, shares: Sequence[float], steps: int, *, named: bool) -> pl.DataFrame:
    """A row a series and step: id (if `named`), time, each target, then the ends of its intervals."""
    columns: dict[str, Any] = {}
    if named:
        columns[panel.id_name] = np.repeat([f.id for f in found], steps)
    columns[panel.time_name] = np.concatenate([f.times[:steps] for f in found])
    for c, name in enumerate(panel.channels):
        columns[name] = np.concatenate([f.mean[:steps, c] for f in found])
    for c, name in enumerate(panel.channels):
        for share in shares:
            for side, p in (("lo", (1 - share) / 2), ("hi", (1 + share) / 2)):
                ends = [f.quantiles[round(p, 12)][:steps, c] for f in found]
                columns[f"{name}-{side}-{100 * share:g}"] = np.concatenate(ends)
    return pl.DataFrame(columns)
