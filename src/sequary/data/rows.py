"""The usable rows of a table: each with its series and moment, blank lines and exact repeats left out."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from sequary.data import clock
from sequary.data.errors import Source
from sequary.data.grid import Ints
from sequary.data.roles import Roles


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """N rows in the order of the source, no two of one series at the same time."""

    frame: pl.DataFrame
    index: pl.Series
    """Where each stood in the source."""
    times: pl.Series
    code: Ints
    """Series of each, 0 … S-1 in order of appearance."""
    ids: tuple[str, ...]
    duplicates: int
    unsorted: int
    notes: tuple[str, ...]


def not_blank(frame: pl.DataFrame, source: Source) -> tuple[pl.DataFrame, pl.Series]:
    """The rows that hold anything, and where each stood."""
    if frame.is_empty():
        raise source.refuse("there are no rows", mend="give a table with a time column and at least one number")
    filled = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series()
    if not filled.any():
        raise source.refuse("every cell is empty", mend="give a table with a time column and at least one number")
    return frame.filter(filled), filled.arg_true().cast(pl.Int64)


def usable(frame: pl.DataFrame, index: pl.Series, roles: Roles, source: Source) -> Rows:
    times, notes = clock.moments(frame[roles.time], source, index)
    # A wide table has no id; the name of its only channel, or a constant, is the same for the rows that follow later.
    nameless = roles.target[0] if len(roles.target) == 1 else "all"
    ids = _ids(frame[roles.id], source) if roles.id is not None else pl.repeat(nameless, len(frame), eager=True)
    empty = ids.is_null().arg_true()
    if len(empty):
        mend = "give the row an id, or remove it"
        raise source.refuse("the id is missing", column=roles.id, index=index[empty[0]], mend=mend)
    names = ids.unique(maintain_order=True)
    code = ids.replace_strict(names, pl.int_range(len(names), eager=True)).to_numpy().astype(np.int64)
    order = np.argsort(code, kind="stable")
    t = times.cast(pl.Int64).to_numpy()[order]
    unsorted = int(((np.diff(t) < 0) & (np.diff(code[order]) == 0)).sum())
    keep, repeats = _without_repeats(frame, times, code, roles, source, index)
    return Rows(
        frame=frame.filter(keep),
        index=index.filter(keep),
        times=times.filter(keep),
        code=code[keep.to_numpy()],
        ids=tuple(names),
        duplicates=len(keep) - int(keep.sum()),
        unsorted=unsorted,
        notes=(*notes, *repeats),
    )


def _ids(column: pl.Series, source: Source) -> pl.Series:
    try:
        return column.cast(pl.String)
    except PolarsError as error:
        mend = "name a column of text or whole numbers with --id"
        raise source.refuse(f"a column of {column.dtype} is no id", column=column.name, mend=mend) from error


def _without_repeats(
    frame: pl.DataFrame, times: pl.Series, code: Ints, roles: Roles, source: Source, index: pl.Series
) -> tuple[pl.Series, tuple[str, ...]]:
    """Which rows to keep. A row that repeats another in every cell goes; one that contradicts another is refused."""
    keys = pl.DataFrame({"code": code, "time": times})
    first = (
        keys.is_unique() if len(keys) < 2 else keys.select(pl.struct("code", "time").is_first_distinct()).to_series()
    )
    again = (~first).arg_true()
    if not len(again):
        return first, ()
    doubled = keys.with_columns(index=index).join(keys.filter(~first).unique(), on=["code", "time"], how="semi")
    cells = frame.filter(index.is_in(doubled["index"].to_list())).unique()
    at = index[again[0]]
    if len(cells) == doubled.select("code", "time").n_unique():
        note = f"{len(again):,} row(s) repeat another in every cell and were left out, first: row {source.row(at)}"
        return first, (note,)
    same = (keys["code"] == keys["code"][again[0]]) & (keys["time"] == times[again[0]])
    whose = f" of series {frame[roles.id][int(again[0])]!r}" if roles.id else ""
    what = f"time {times[again[0]]}{whose} occurs twice, first in row {source.row(index[same.arg_true()[0]])}"
    raise source.refuse(what, column=roles.time, index=at, mend=_mend(frame, roles))


def _mend(frame: pl.DataFrame, roles: Roles) -> str:
    keys = [roles.time, *([roles.id] if roles.id else [])]
    for name in roles.static + roles.past:
        if frame[name].dtype == pl.String and frame.select(pl.struct(*keys, name).is_unique().all()).item():
            return f"column {name!r} tells such rows apart: name it with --id {name}"
    grouped = ", ".join(repr(key) for key in keys)
    return f"aggregate (pandas: df.groupby([{grouped}], as_index=False).mean()), or name the column that tells the series apart with --id"
