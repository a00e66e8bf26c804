"""From a table's cells to a panel's and back: the table as it came, its missing cells filled."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from sequary.data import cells
from sequary.data.errors import DataError, Source
from sequary.data.grid import Ints, lay
from sequary.data.panel import Floats, Frequency, Panel
from sequary.data.roles import Columns, assign
from sequary.data.rows import not_blank, usable
from sequary.tasks.impute.fitted import Filled
from sequary.tasks.impute.gaps import Bools


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """Where N rows of a table stand in the panel that `tables.understand` makes of it."""

    row: Ints
    """[N] rows of the table; blank ones and exact repeats have no place."""
    series: Ints
    step: Ints

    @classmethod
    def of(cls, frame: pl.DataFrame, columns: Columns, frequency: Frequency | None, source: str) -> Places:
        origin = Source(source)
        kept, index = not_blank(frame, origin)
        roles = assign(kept, columns, origin)
        rows = usable(kept, index, roles, origin)
        grid = lay(rows.times, rows.code, given=frequency, source=origin, rows=rows.index, width=roles.width)
        return cls(rows.index.to_numpy(), rows.code, grid.place)

    def taken(self, height: int, arrays_TC: Sequence[Floats]) -> Floats:
        """[height, C] the cells of one array for each series, in the table's rows; NaN where a row has no place."""
        found = np.full((height, arrays_TC[0].shape[1]), np.nan)
        starts = np.cumsum([0, *(len(a) for a in arrays_TC[:-1])])
        found[self.row] = np.concatenate(arrays_TC)[starts[self.series] + self.step]
        return found


def check_free(names: Sequence[str], added: Iterable[str], source: str, verb: str) -> None:
    """Refuses a table that has a column of the name of one that is added."""
    for name in added:
        if name in names:
            what = f"the table has a column of this name, which {verb} would write over"
            raise DataError(what, file=source, column=name, mend="rename it, or leave it out")


def ends(channel: str, share: float) -> tuple[str, str]:
    """The columns of an interval."""
    return f"{channel}-lo-{100 * share:g}", f"{channel}-hi-{100 * share:g}"


def filled(
    df: Any, frame: pl.DataFrame, panel: Panel, places: Places, said: Sequence[Filled], shares: Sequence[float]
) -> Any:
    """`df` with its missing targets filled, and columns `y-lo-80`, `y-hi-80` with the ends of the intervals of these.

    Rows, other columns and known cells stay as they are. A column of whole numbers with gaps becomes one of floats.
    """
    values_RC = places.taken(len(frame), [f.values for f in said])
    missing_RC = places.taken(len(frame), [f.missing.astype(float) for f in said]) == 1
    columns: dict[str, pl.Series] = {}
    for c, name in enumerate(panel.channels):
        if missing_RC[:, c].any():
            columns[name] = _put(frame[name], missing_RC[:, c], values_RC[:, c])
    for share in shares:
        half_RC = places.taken(len(frame), [f.half[share] for f in said])
        for c, name in enumerate(panel.channels):
            for end, sign in zip(ends(name, share), (-1, 1), strict=True):
                end_R = np.where(missing_RC[:, c], values_RC[:, c] + sign * half_RC[:, c], np.nan)
                columns[end] = pl.Series(end_R, nan_to_null=True)
    return _with(df, frame, columns)


def _put(column: pl.Series, missing: Bools, estimates: Floats) -> pl.Series:
    """Known cells of numbers keep their bits; those of text become the numbers that they spell."""
    numbers = (
        column if column.dtype.is_float() else cells.numbers(column, Source(""), pl.arange(len(column), eager=True))
    )
    return numbers.scatter(np.flatnonzero(missing), pl.Series(estimates[missing]).cast(numbers.dtype))


def _with(df: Any, frame: pl.DataFrame, columns: Mapping[str, pl.Series]) -> Any:
    """The table as the kind that it came as, these columns replaced or added at its end; its index stays."""
    given = None if isinstance(df, str | Path) else nw.from_native(df)
    if given is None or given.implementation.is_polars():
        made = frame.with_columns(**columns)
        return made.lazy() if isinstance(given, nw.LazyFrame) else made
    if isinstance(given, nw.LazyFrame):
        whole = given.collect()
        return _replaced(whole, columns).lazy(backend=given.implementation).to_native()
    return _replaced(given, columns).to_native()


def _replaced(whole: nw.DataFrame[Any], columns: Mapping[str, pl.Series]) -> nw.DataFrame[Any]:
    kinds = {name: nw.Float32() if column.dtype == pl.Float32 else nw.Float64() for name, column in columns.items()}
    return whole.with_columns(
        nw.new_series(name, column.to_list(), kinds[name], backend=whole.implementation)
        for name, column in columns.items()
    )
