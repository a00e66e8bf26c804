"""Columns as float64: numbers as they are, categories as integer codes, missing as NaN."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from sequary.data import cells
from sequary.data.errors import Source
from sequary.data.grid import Ints
from sequary.data.panel import Floats


@dataclasses.dataclass(frozen=True, slots=True)
class Coded:
    values: Floats
    categories: tuple[str, ...] = ()
    """In code order; empty for numbers."""


def numbers(column: pl.Series, source: Source, rows: pl.Series) -> Coded:
    return Coded(cells.numbers(column, source, rows).to_numpy().astype(np.float64))


def covariate(column: pl.Series, known: tuple[str, ...] | None, source: Source, rows: pl.Series) -> Coded:
    """Text in which nine cells of ten are numbers is a number column with mistakes, and they are refused.

    `known` categories keep their codes; all others then share the next code.
    """
    text = isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum)
    if known is None and (not text or cells.share(column) >= 0.9):
        return numbers(column, source, rows)
    words = column.cast(pl.String)
    names = known or tuple(words.drop_nulls().unique().sort())
    codes = words.replace_strict(list(names), list(range(len(names))), default=len(names), return_dtype=pl.Float64)
    return Coded(codes.set(words.is_null(), None).to_numpy().astype(np.float64), names)


def constants(
    coded: dict[str, Coded], names: tuple[str, ...], code: Ints, series: int, source: Source, rows: pl.Series
) -> Floats:
    """[series, names] the one value that each static column has in each series. Refuses a second value."""
    found = np.full((series, len(names)), np.nan)
    for j, name in enumerate(names):
        values = coded[name].values
        there = np.flatnonzero(np.isfinite(values))[::-1]  # of several the first is written last
        found[code[there], j] = values[there]
        other = np.flatnonzero(np.isfinite(values) & (values != found[code, j]))
        if len(other):
            mend = f"declare it as --past {name}, or as --future {name} where it is known beforehand"
            what = "declared static, but it changes within its series here"
            raise source.refuse(what, column=name, index=rows[int(other[0])], mend=mend)
    return found
