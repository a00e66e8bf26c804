"""Small panels for the tests of this folder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Frequency, Panel, Series

Floats = NDArray[np.float64]


def panel(
    *values: Floats,
    season: int = 1,
    past: Floats | None = None,
    future: Floats | None = None,
    static: Floats | None = None,
) -> Panel:
    """One series for each array, [T] or [T, C], on integer time; covariates are those of every series."""
    series: list[Series] = []
    for i, value in enumerate(values):
        y_TC = value[:, None] if value.ndim == 1 else value
        empty = np.empty((len(y_TC), 0))
        series.append(
            Series(
                id=f"s{i}",
                times=np.arange(len(y_TC), dtype=np.int64),
                values=y_TC,
                past=empty if past is None else past,
                future=empty if future is None else future,
                static=np.empty(0) if static is None else static,
            )
        )
    first = series[0]
    return Panel(
        series=tuple(series),
        channels=tuple(f"c{i}" for i in range(first.values.shape[1])),
        frequency=Frequency("1i", season),
        past=tuple(f"p{i}" for i in range(first.past.shape[1])),
        future=tuple(f"f{i}" for i in range(first.future.shape[1])),
        static=tuple(f"k{i}" for i in range(len(first.static))),
    )
