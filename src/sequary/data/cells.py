"""Cells of text as numbers: what counts as missing, and which cell is to blame."""

from __future__ import annotations

import re

import polars as pl

from sequary.data.errors import Source

MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?")
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def is_number(text: str) -> bool:
    return re.match(NUMBER, text) is not None


def cleaned(column: pl.Series) -> pl.Series:
    """Text without spaces around it; the usual words for a missing value become null."""
    text = column.str.strip_chars()
    return text.set(text.str.to_lowercase().is_in(MISSING), None)


def typed(column: pl.Series) -> pl.Series:
    """Int64 or Float64 where every cell is a number or missing and none is written as a name, else the text as it is.

    Nothing is lost by text: targets and covariates of such a column are read as numbers where they are used.
    """
    text = cleaned(column)
    empty = text.null_count()
    if empty == len(text) or text.str.contains(r"^[+-]?0\d").any():
        return column  # a leading zero makes a name of it
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == empty:
        return whole
    numbers = text.cast(pl.Float64, strict=False)
    return column if numbers.null_count() > empty or _named(text) else numbers


def _named(text: pl.Series) -> bool:
    """Whether cells lose as Float64 what tells names apart: the last digits of 10000000000000000001, the zero of 1.10 after 1.9.

    That zero says nothing where all decimals have as many places, nor does the one of 1.0.
    """
    if text.str.contains(r"^[+-]?\d{16,}$").any():
        return True
    if not text.str.contains(r"\.\d*[1-9]0+$").any():
        return False
    return text.str.extract(r"\.(\d+)$").drop_nulls().str.len_bytes().n_unique() > 1


def has_decimal_comma(column: pl.Series) -> bool:
    """Whether a text column holds numbers with at most one comma each, and at least one comma."""
    text = cleaned(column).drop_nulls()
    single = text.str.contains(r"^[+-]?\d*(,\d+)?([eE][+-]?\d+)?$").all()
    return bool(len(text) and single and text.str.contains(",", literal=True).any())


def share(column: pl.Series) -> float:
    """The part of a column's cells that are numbers, the missing ones left out; 0 where all are missing."""
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return float(column.null_count() < len(column))
    if column.dtype != pl.String:
        return 0.0
    text = cleaned(column).drop_nulls()
    return float(text.cast(pl.Float64, strict=False).is_not_null().mean() or 0.0) if len(text) else 0.0  # pyright: ignore[reportArgumentType]


def numbers(column: pl.Series, source: Source, rows: pl.Series) -> pl.Series:
    """Float64, NaN as null. `rows` are the cells' indices in the source. Refuses text and infinities."""
    name = column.name
    if column.dtype == pl.String:
        text = cleaned(column)
        values = text.cast(pl.Float64, strict=False)
        bad = (values.is_null() & text.is_not_null()).arg_true()
        if len(bad):
            cell = text[bad[0]]
            raise source.refuse(f"{cell!r} is not a number", column=name, index=rows[bad[0]], mend=_mend(cell))
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        values = column.cast(pl.Float64)
    else:
        raise source.refuse(
            f"{column.dtype} is no number", column=name, mend="leave the column out, or make it numeric"
        )
    infinite = values.is_infinite().arg_true()
    if len(infinite):
        mend = "leave the cell empty where the value is missing, or put a finite one"
        value = values[infinite[0]]
        raise source.refuse(f"{value} is not finite", column=name, index=rows[infinite[0]], mend=mend)
    return values.fill_nan(None)


def _mend(cell: str) -> str:
    if re.match(r"^[+-]?[\d.,' ]*\d$", cell):
        return "write numbers with a decimal point and without thousands separators (1234.5)"
    if re.match(r"^\D{0,3}\d[\d.]*\D{0,3}$", cell):
        return "write the bare number, without unit or currency"
    return "write a number, or leave the cell empty where the value is missing"
