"""A long table or recordings as labelled series; what cannot be read in one way is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sequary.data import frames
from sequary.data.errors import DataError, Source
from sequary.data.panel import Panel
from sequary.data.recordings import BANDS, Recordings, is_recordings, log_mel, read_recordings
from sequary.data.roles import Columns, assign, constant_within
from sequary.data.rows import not_blank
from sequary.data.tables import understand
from sequary.tasks.classify.labelled import UNKNOWN, Form, Ints, Labelled
from sequary.tasks.forecast.task import selected


def read(data: Any, columns: Columns) -> tuple[Labelled, tuple[str, ...]]:
    """What a classifier learns from, and what was understood, one fact a line.

    Raises:
        DataError: no class, or not one class for each series; one class only; a class with a single series.
    """
    if isinstance(data, str | Path) and is_recordings(data):
        found, lines = _recordings(data, columns)
    else:
        found, lines = _table(data, columns)
    _check(found, str(data) if isinstance(data, str | Path) else "dataframe", columns.label)
    counts = np.bincount(found.labels)
    many = f"{len(found.classes)} classes, of {counts.min():,} to {counts.max():,} series"
    shown = ", ".join(found.classes[:12]) + (" …" if len(found.classes) > 12 else "")
    return found, (*lines, f"classes: {many} ({shown})")


def read_as(data: Any, form: Form) -> Labelled:
    """Series to classify, read as those of training were; labels are not looked at.

    Raises:
        DataError: they are of another kind, or lack a column.
    """
    source = str(data) if isinstance(data, str | Path) else "dataframe"
    recorded = isinstance(data, str | Path) and is_recordings(data)
    if recorded != (form.kind == "recordings"):
        mend = (
            "give an .npz of recordings" if form.kind == "recordings" else "give a table with the columns of training"
        )
        kind = "recordings" if form.kind == "recordings" else "a table"
        raise DataError(f"the model was fitted on {kind}, which this is not", file=source, mend=mend)
    if recorded:
        found = read_recordings(data)
        if found.rate != form.rate:
            mend = "resample them, or fit again on these"
            raise DataError(f"{found.rate:,} samples a second, fitted on {form.rate:,}", file=source, mend=mend)
        return _of_recordings(found, form).bare()
    columns = Columns(time=form.time, id=form.id, target=form.channels, static=(), past=(), future=())
    frame = selected(frames.read(data), columns.names(), source)
    panel, _ = understand(frame, source=source, columns=columns, frequency=form.frequency)
    return _of_panel(panel, [None] * len(panel.series), source).bare()


def _recordings(path: str | Path, columns: Columns) -> tuple[Labelled, tuple[str, ...]]:
    if columns != Columns():
        what = "recordings have arrays, no columns"
        raise DataError(what, file=str(path), mend="leave --label and the other names of columns out")
    found = read_recordings(path)
    if not found.labels:
        raise DataError("no array 'labels'", file=str(path), mend="add the class of each recording")
    form = Form(kind="recordings", channels=tuple(f"band {i + 1}" for i in range(BANDS)), rate=found.rate)
    seconds = sum(map(len, found.samples)) / found.rate
    whose = f", {len(set(found.speakers))} speakers" if found.speakers else ""
    made = _of_recordings(found, form)
    lengths = made.lengths
    return made, (
        f"{path}: {len(found):,} recordings, {seconds / 60:.1f} minutes at {found.rate:,} samples a second{whose}",
        f"features: {BANDS} log mel bands, {lengths.min()} to {lengths.max()} windows a recording",
    )


def _of_recordings(found: Recordings, form: Form) -> Labelled:
    classes, labels = _coded(found.labels)
    return Labelled(
        ids=tuple(map(str, range(len(found)))),
        values=tuple(log_mel(samples, found.rate) for samples in found.samples),
        labels=labels if found.labels else np.full(len(found), UNKNOWN, np.int64),
        classes=classes,
        groups=found.speakers,
        form=form,
    )


def _table(data: Any, columns: Columns) -> tuple[Labelled, tuple[str, ...]]:
    source = str(data) if isinstance(data, str | Path) else "dataframe"
    frame = frames.read(data)
    label = columns.label
    if label is None:
        raise DataError("no column is named as the class of a series", file=source, mend="name it: --label COLUMN")
    names = _labels(frame, columns, label, Source(source))
    panel, understood = understand(frame.drop(label), source=source, columns=dataclasses.replace(columns, label=None))
    known = [names.get(series.id) for series in panel.series]
    found = _of_panel(panel, known, source)
    lines = list(understood.lines())
    unused = panel.static + panel.past + panel.future
    if unused:
        lines.append(f"note: covariates are not used to classify: {', '.join(unused)}")
    missing = int((found.labels == UNKNOWN).sum())
    if missing:
        lines.append(f"note: {missing:,} series have no class: left out")
    return found.take(found.labels != UNKNOWN), tuple(lines)


def _labels(frame: pl.DataFrame, columns: Columns, label: str, source: Source) -> dict[str, str]:
    """Series -> class."""
    filled, index = not_blank(frame, source)
    id = assign(filled, columns.labelled("static"), source).id
    if not filled[label].dtype.is_numeric():
        words = pl.col(label).cast(pl.String).str.strip_chars()
        filled = filled.with_columns(words.replace("", None).alias(label))
    if id is None:
        what = "one series cannot teach classes: no column tells several apart"
        raise source.refuse(what, mend="name the column with the series of a row: --id COLUMN")
    if not constant_within(filled, label, id):
        first = pl.col(label).drop_nulls().first().over(id)
        other = filled.select((pl.col(label) != first).fill_null(value=False)).to_series().arg_true()
        at = other[0]
        what = f"{filled[label][at]!r} here, but series {str(filled[id][at])!r} began with another class"
        mend = "give all rows of a series one class, or name another column with --id"
        raise source.refuse(what, column=label, index=index[at], mend=mend)
    taken = {"label", *(f"p-{name}" for name in filled[label].cast(pl.String).drop_nulls().unique())}
    if id in taken:
        mend = f"rename it, such as to 'series': {id!r} will be a column of the answers"
        raise source.refuse("the column that tells series apart has this name", column=id, mend=mend)
    whole = filled[label].dtype.is_float() and bool((filled[label].drop_nulls() % 1 == 0).all())
    names = filled.select(pl.col(id).cast(pl.String), pl.col(label).cast(pl.Int64) if whole else label)
    pairs = names.drop_nulls().unique(subset=[id], keep="first")
    return dict(zip(pairs[id], pairs[label].cast(pl.String), strict=True))


def _of_panel(panel: Panel, names: Sequence[str | None], source: str) -> Labelled:
    empty = next((s.id for s in panel.series if not np.isfinite(s.values).any()), None)
    if empty is not None:
        raise DataError(f"series {empty!r} has no value at all", file=source, mend="remove it")
    classes, labels = _coded(names)
    return Labelled(
        ids=tuple(s.id for s in panel.series),
        values=tuple(s.values for s in panel.series),
        labels=labels,
        classes=classes,
        form=Form(
            kind="table",
            channels=panel.channels,
            time=panel.time_name,
            id=panel.id_name,
            frequency=panel.frequency,
        ),
    )


def _coded(names: Sequence[str | None]) -> tuple[tuple[str, ...], Ints]:
    """The classes, numbers in their own order, and the place of each name among them."""
    known = {name for name in names if name is not None}
    numbers = all(name.removeprefix("-").isdecimal() for name in known)
    classes = tuple(sorted(known, key=int) if numbers else sorted(known))
    place = {name: i for i, name in enumerate(classes)}
    return classes, np.array([UNKNOWN if name is None else place[name] for name in names], np.int64)


def _check(found: Labelled, source: str, label: str | None) -> None:
    if len(found.classes) < 2:
        what = f"all series are of one class, {found.classes[0]!r}" if found.classes else "no series has a class"
        raise DataError(what, file=source, column=label, mend="give series of two classes at least")
    counts = np.bincount(found.labels, minlength=len(found.classes))
    rare = [name for name, n in zip(found.classes, counts, strict=True) if n < 2]
    if rare:
        more = f" (and {len(rare) - 1} more like it)" if len(rare) > 1 else ""
        what = f"class {rare[0]!r} has a single series{more}: it cannot be learnt from and judged"
        mend = "give it more, or remove it; is this the class of a series?"
        raise DataError(what, file=source, column=label, mend=mend)
