"""Which column is what: as declared, by well-known names, or by what the columns hold; never by a silent guess."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Literal

import polars as pl

from sequary.data import cells, clock
from sequary.data.errors import Source

IDS = ("unique_id", "item_id", "series_id")
TARGETS = ("y", "target")
COUNTERS = ("index", "id", "row", "unnamed: 0")
MAX_CATEGORIES = 1000
"""A text column with more distinct values (and with more than half as many as rows) is a comment, not a category."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names that the user gives; None is found out. Declared covariates of a kind may be an empty tuple."""

    time: str | None = None
    id: str | None = None
    target: tuple[str, ...] | None = None
    static: tuple[str, ...] | None = None
    past: tuple[str, ...] | None = None
    future: tuple[str, ...] | None = None
    label: str | None = None
    """The class of a series, or whether a row is an anomaly: for tasks that learn or are judged by it, which first say by
    `labelled` what it is to the reader of tables."""

    def labelled(self, kind: Literal["static", "past"]) -> Columns:
        """With the label as one of the covariates of that kind, the last one."""
        if self.label is None:
            return self
        return dataclasses.replace(self, label=None, **{kind: (*(getattr(self, kind) or ()), self.label)})

    def names(self) -> list[str]:
        single = [name for name in (self.time, self.id) if name is not None]
        return single + [name for kind in (self.target, self.static, self.past, self.future) for name in kind or ()]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """`how` says of each covariate why it is one of its kind; `notes` what was left out, and why."""

    layout: Literal["long", "wide"]
    time: str
    id: str | None
    target: tuple[str, ...]
    static: tuple[str, ...]
    past: tuple[str, ...]
    future: tuple[str, ...]
    how: dict[str, str]
    notes: tuple[str, ...]

    @property
    def width(self) -> int:
        """Columns that have a value at each step."""
        return len(self.target) + len(self.past) + len(self.future)


def assign(frame: pl.DataFrame, columns: Columns, source: Source) -> Roles:
    """A role for every column. Refuses unknown or repeated names, and what could be read in two ways."""
    if columns.label is not None:
        raise source.refuse("no label is read for this task", column=columns.label, mend="leave --label out")
    _check_names(frame, columns, source)
    time = columns.time or _time(frame, columns, source)
    id = columns.id or _id(frame, columns)
    taken = {time, id, *columns.names()}
    rest, notes = _usable(frame, [n for n in frame.columns if n not in taken])
    target = columns.target or _target(frame, rest, source, long=id is not None)
    kinds = {"static": [*(columns.static or ())], "past": [*(columns.past or ())], "future": [*(columns.future or ())]}
    how = {name: "as declared" for names in kinds.values() for name in names}
    targets = set(target)
    for name in (name for name in rest if name not in targets):
        if constant_within(frame, name, id):
            kinds["static"].append(name)
            how[name] = "constant within every series"
        else:
            kinds["past"].append(name)
            how[name] = f"it varies, and is not assumed to be known beforehand; if it is, declare --future {name}"
    return Roles(
        layout="long" if id is not None else "wide",
        time=time,
        id=id,
        target=target,
        static=tuple(kinds["static"]),
        past=tuple(kinds["past"]),
        future=tuple(kinds["future"]),
        how=how,
        notes=notes,
    )


def constant_within(frame: pl.DataFrame, name: str, id: str | None) -> bool:
    """Whether no series has two different values in the column, missing ones left out."""
    distinct = pl.col(name).drop_nulls().n_unique().alias("distinct")
    counts = frame.select(distinct) if id is None else frame.group_by(id).agg(distinct)
    return counts["distinct"].max() in (0, 1)


def _check_names(frame: pl.DataFrame, columns: Columns, source: Source) -> None:
    there, given = set(frame.columns), set[str]()
    for name in columns.names():
        if name not in there:
            near = difflib.get_close_matches(name, frame.columns, n=3, cutoff=0.5) or frame.columns[:8]
            raise source.refuse(f"there is no column {name!r}", mend=f"the file has {', '.join(near)}")
        if name in given:
            raise source.refuse("the column is declared twice", column=name, mend="give it one role")
        given.add(name)


def _time(frame: pl.DataFrame, columns: Columns, source: Source) -> str:
    given = set(columns.names())
    free = [name for name in frame.columns if name not in given]
    # 1234.50 begins like a date, and is text where it stands beside 1234.5
    dated = [name for name in free if clock.looks_like_times(frame[name]) and cells.share(frame[name]) < 1]
    for time, others in (("ds", {"unique_id", "y"}), ("timestamp", {"item_id", "target"})):
        if time in dated and others & set(frame.columns):
            return time
    named = [name for name in free if name.lower() in clock.NAMES]
    found = dated or [name for name in named if frame[name].dtype == pl.String or frame[name].dtype.is_numeric()]
    if len(found) == 1:
        return found[0]
    if found:
        what = f"several columns could be the time: {', '.join(found)}"
        raise source.refuse(what, mend=f"name the right one, such as --time {found[0]}")
    raise source.refuse("no column holds times", mend=_without_time(frame))


def _without_time(frame: pl.DataFrame) -> str:
    first, *others = frame.get_columns()
    wide = first.dtype == pl.String and len(others) > 4 and all(c.dtype.is_numeric() or not c.count() for c in others)
    if wide and first.n_unique() == len(first):
        return "each row looks like a whole series: reshape to one row per value, with columns unique_id, ds, y"
    return "name it with --time, or add one (a pandas index is not read: pass df.reset_index())"


def _id(frame: pl.DataFrame, columns: Columns) -> str | None:
    given = set(columns.names())
    free = {name.lower(): name for name in frame.columns if name not in given}
    return next((free[name] for name in IDS if name in free), None)


def _usable(frame: pl.DataFrame, names: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """The columns that can be targets or covariates, and a note on each that cannot."""
    notes: dict[str, str] = {}
    for name in names:
        column = frame[name]
        counter = column.dtype.is_integer() and bool(
            (column - column[0] == pl.int_range(len(column), eager=True)).all()
        )
        if name.lower() in COUNTERS and counter:
            notes[name] = "it only counts the rows"
        elif column.count() == 0 or (column.dtype == pl.String and cells.cleaned(column).count() == 0):
            notes[name] = "it is empty"
        elif column.dtype.is_numeric() or column.dtype == pl.Boolean or cells.share(column) >= 0.5:
            continue
        elif not isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
            notes[name] = f"{column.dtype} is neither a number nor a category"
        elif column.n_unique() > max(MAX_CATEGORIES, len(column) // 2):
            notes[name] = f"{column.n_unique():,} distinct texts are no categories"
    return [n for n in names if n not in notes], tuple(f"column {n!r} is not used: {why}" for n, why in notes.items())


def _target(frame: pl.DataFrame, names: list[str], source: Source, *, long: bool) -> tuple[str, ...]:
    known = next((name for wanted in TARGETS for name in names if name.lower() == wanted), None)
    if known is not None:
        return (known,)
    numeric = tuple(name for name in names if cells.share(frame[name]) >= 0.5)
    if not numeric:
        raise source.refuse("no column holds numbers to forecast", mend="name the target with --target, or add one")
    if long and len(numeric) > 1:
        what = f"several columns could be the target: {', '.join(numeric[:8])}"
        raise source.refuse(what, mend=f"name it, such as --target {numeric[-1]}")
    return numeric
