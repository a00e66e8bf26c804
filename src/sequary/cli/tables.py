"""Tables on a terminal."""

from __future__ import annotations

import polars as pl

from sequary.data.clock import text


def readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Moments as text."""
    return frame.with_columns(map(text, frame.select(pl.col(pl.Datetime))))
