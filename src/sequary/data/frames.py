"""Tables in and out: delimited text, Parquet and Arrow files, or any dataframe that narwhals knows; same type back."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl
from polars.exceptions import PanicException, PolarsError

from sequary.core.files import write_atomic
from sequary.data import clock, delimited, zones
from sequary.data.errors import TEXT_TABLES, DataError
from sequary.data.files import LIMIT, checked

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")


def read(source: Any, *, limit: int = LIMIT) -> pl.DataFrame:
    """A file or a dataframe as a polars frame. `limit` is bytes, on disk and (Parquet, Arrow) unpacked.

    Text columns become numbers only where every cell is one; `tables.understand` judges the others.
    """
    if not isinstance(source, str | Path):
        return _from_frame(source)
    path = checked(source, limit=limit)
    suffix = path.suffix.lower()
    if suffix in TEXT_TABLES:
        return delimited.parse(path.read_bytes(), file=str(path))
    if suffix not in PARQUET + ARROW:
        mend = f"save it as one of {' '.join(TEXT_TABLES + PARQUET + ARROW)}"
        raise DataError(f"tables are not read from {suffix or 'files without a suffix'}", file=str(path), mend=mend)
    return _columnar(path, suffix, limit)


def like(source: Any, frame: pl.DataFrame, known: pl.DataFrame | None = None) -> Any:
    """`frame` as the kind of table that `source` is (polars for a file), columns of the same name cast to its types.

    Of a file's types only the zone of its moments is kept, as is the offset of text. `known`: what `read` made of the source,
    which is read for it otherwise.
    """
    if isinstance(source, str | Path):
        moments = frame.select(pl.col(pl.Datetime)).columns
        if not moments:
            return frame
        origin = read(source) if known is None else known
        return frame.with_columns(
            zones.restore(frame[name], origin[name]) for name in moments if name in origin.columns
        )
    given = nw.from_native(source)
    origin = _from_frame(source) if known is None else known
    frame = frame.with_columns(_as(frame[name], origin[name]) for name in frame.columns if name in origin.columns)
    if isinstance(given, nw.LazyFrame):
        return nw.from_native(frame).lazy(backend=given.implementation).to_native()
    if given.implementation.is_polars():
        return frame
    columns = {name: frame[name].to_list() for name in frame.columns}
    made = nw.from_dict(columns, backend=given.implementation).to_native()
    if not given.implementation.is_pandas_like():
        return made
    shared = [given[name] for name in given.columns if name in frame.columns]
    return made.astype({column.name: column.to_native().dtype for column in shared if _zone(column)})


def write(frame: pl.DataFrame, path: str | Path) -> None:
    """Write whole or not at all; the suffix says the type. Text has moments as `clock.text` writes them."""
    suffix = Path(path).suffix.lower()
    buffer = io.BytesIO()
    if suffix in TEXT_TABLES:
        frame = frame.with_columns(map(clock.text, frame.select(pl.col(pl.Datetime))))
        frame.write_csv(buffer, separator="\t" if suffix in (".tsv", ".tab") else ",")
    elif suffix in PARQUET:
        frame.write_parquet(buffer)
    elif suffix in ARROW:
        frame.write_ipc(buffer)
    else:
        mend = f"end it in one of {' '.join(TEXT_TABLES + PARQUET + ARROW)}"
        raise DataError(f"no table type has the suffix {suffix!r}", file=str(path), mend=mend)
    write_atomic(path, buffer.getvalue())


def _columnar(path: Path, suffix: str, limit: int) -> pl.DataFrame:
    try:
        lazy = pl.scan_parquet(path) if suffix in PARQUET else pl.scan_ipc(path)
        schema = lazy.collect_schema()
        for name in (name for name, dtype in schema.items() if dtype.is_nested()):
            mend = "leave the column out, or give each value a row or a column of its own"
            raise DataError(f"cells of {schema[name]} hold many values each", file=str(path), column=name, mend=mend)
        mend = "pass a larger limit, or keep fewer rows"
        cells = lazy.select(pl.len()).collect().item() * len(schema)
        if cells * 8 > limit:  # a few kilobytes can hold billions of equal values
            raise DataError(f"{cells:,} cells would not fit into {limit:,} bytes", file=str(path), mend=mend)
        # Only the cells say how long they are: they are measured batch by batch before all are held at once.
        sizes = [pl.col(pl.String).str.len_bytes(), pl.col(pl.Binary).bin.size()]
        total = sum(
            sum(row) for row in lazy.select(s.cast(pl.UInt64).sum() for s in sizes).collect(engine="streaming").rows()
        )
        if cells * 8 + total > limit:
            raise DataError(f"{total:,} bytes of text would not fit into {limit:,}", file=str(path), mend=mend)
        return lazy.collect()
    except (PolarsError, OSError, PanicException) as error:
        kind = "Parquet" if suffix in PARQUET else "Arrow"
        mend = f"it is truncated or of another kind: write it again, as {kind}"
        raise DataError(f"no readable {kind} file ({_first_line(error)})", file=str(path), mend=mend) from error


def _from_frame(source: Any) -> pl.DataFrame:
    try:
        frame = nw.from_native(source)
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect(backend="polars")
        if not frame.implementation.is_pandas_like():
            return frame.to_polars()
        for name in (name for name in frame.columns if type(name) is not str):
            mend = "name the columns by text: df.columns = df.columns.astype(str)"
            raise DataError(f"the column name {name!r} is no text", file="dataframe", mend=mend)
        return pl.DataFrame([_from_pandas(frame[name]) for name in frame.columns])
    except TypeError as error:
        mend = "give a path, or a pandas, polars or pyarrow table"
        raise DataError(f"{type(source).__name__} is no table", file="dataframe", mend=mend) from error
    except nw.exceptions.DuplicateError as error:
        what = f"duplicated column names ({_first_line(error)})"
        raise DataError(what, file="dataframe", mend="rename one of them") from error


def _from_pandas(column: nw.Series[Any]) -> pl.Series:
    """One column, without pyarrow, which polars would ask for and pandas does not bring."""
    dtype = column.dtype
    name = str(column.name)
    if zone := _zone(column):
        return zones.attach(pl.Series(name, column.to_native().dt.tz_convert(None).to_numpy().astype("M8[us]")), zone)
    if isinstance(dtype, nw.Datetime):
        moments = pl.Series(name, column.to_numpy().astype("M8[us]"))  # polars takes no whole seconds
        return zones.attach(moments, dtype.time_zone) if dtype.time_zone else moments
    if dtype.is_float():
        return pl.Series(name, column.to_numpy(), nan_to_null=True)
    values = [None if empty else value for value, empty in zip(column, column.is_null(), strict=True)]
    kinds = {type(v) for v in values if v is not None}
    if len(kinds) > 1 or dtype == nw.Unknown:  # numbers among words stay visible; a period is read as its text
        values = [None if v is None else str(v) for v in values]
    return pl.Series(name, values)


def _zone(column: nw.Series[Any]) -> str | None:
    """The zone of a pandas column, from pandas' own name of its type: narwhals knows none with _, digits or + in it."""
    zone = re.fullmatch(r"datetime64\[\w+, (.+)\]", str(column.to_native().dtype))
    return zone and zone[1]


def _as(column: pl.Series, origin: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        column = clock.like(column, origin)
    castable = origin.dtype.is_numeric() or origin.dtype.is_temporal() or origin.dtype == pl.String
    # A forecast of an integer target is no integer; an integer id that comes as text is one.
    widens = column.dtype.is_float() and origin.dtype.is_integer()
    return column.cast(origin.dtype) if castable and not widens else column


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
