"""Tables on a terminal."""

from __future__ import annotations

import polars as pl

from sequary.data.zones import only_midnights

FORMS = {True: "%Y-%m-%d", False: "%Y-%m-%d %H:%M:%S"}


def readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Moments as text: dates where they are midnights."""
    moments = frame.select(pl.col(pl.Datetime))
    return frame.with_columns(c.dt.to_string(FORMS[only_midnights(c)]) for c in moments)
