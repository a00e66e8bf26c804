"""A column of times as moments (datetime64[us], UTC) or as integers, and in words what had to be decided for that."""

from __future__ import annotations

from itertools import product

import polars as pl

from sequary.data import zones
from sequary.data.errors import Source

NAMES = ("ds", "timestamp", "date", "datetime", "time", "period", "month", "year", "week", "day", "step", "t")
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y")
DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y")
MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y")
HOURS = ("", " %H:%M:%S%.f", "T%H:%M:%S%.f", " %H:%M", "T%H:%M", " %I:%M:%S %p", " %I:%M %p")
OFFSET = r":\d\d(?:\.\d+)?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"
MEND = "write it as 2024-01-31 or 2024-01-31 18:00:00"


def looks_like_times(column: pl.Series) -> bool:
    """Whether a column is one of dates by its type, or text that mostly begins like dates."""
    if isinstance(column.dtype, pl.Date | pl.Datetime):
        return True
    if column.dtype != pl.String:
        return False
    some = column.drop_nulls().head(1000).str.strip_chars()
    like = some.str.contains(
        r"^\d{4}[-/.]\d{1,2}|^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|^\d{4}-?Q[1-4]$|^\d{1,2}[ -][A-Z][a-z]{2}"
    )
    return len(some) > 0 and float(like.mean() or 0.0) >= 0.5  # pyright: ignore[reportArgumentType]


def moments(column: pl.Series, source: Source, rows: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    """Datetime[us] or Int64, none missing, with notes. `rows` are the cells' indices in the source."""
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    empty = (
        column.is_null() if column.dtype != pl.String else (column.fill_null("").str.strip_chars() == "")
    ).arg_true()
    if len(empty):
        mend = "give the row a time, or remove it"
        raise source.refuse("the time is missing", column=column.name, index=rows[empty[0]], mend=mend)
    if isinstance(column.dtype, pl.Date | pl.Datetime):
        zoned = isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone
        plain, note = zones.strip(column) if zoned else (column, "")
        return plain.cast(pl.Datetime("us")), (note,) if note else ()
    if column.dtype.is_numeric():
        return _integers(column, source, rows)
    if column.dtype == pl.String:
        return _texts(column.str.strip_chars(), source, rows)
    raise source.refuse(f"{column.dtype} is no time", column=column.name, mend="name the time column with --time")


def _integers(column: pl.Series, source: Source, rows: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    whole = column.cast(pl.Int64, strict=False)
    bad = ((whole.cast(pl.Float64) != column.cast(pl.Float64)).fill_null(value=True)).arg_true()
    if len(bad):
        what = f"{column[bad[0]]} is no whole number of steps"
        raise source.refuse(
            what, column=column.name, index=rows[bad[0]], mend="write times as dates or as whole numbers"
        )
    text = whole.cast(pl.String)
    if column.name.lower() not in NAMES:
        return whole, ()
    for low, high, form, words in (
        (19_000_101, 21_001_231, "%Y%m%d", "YYYYMMDD"),
        (190_001, 210_012, "%Y%m%d", "YYYYMM"),
    ):
        if whole.is_between(low, high).all():
            dates = (text if words == "YYYYMMDD" else text + "01").str.strptime(pl.Datetime("us"), form, strict=False)
            if dates.null_count() == 0:
                return dates, (f"whole numbers in {column.name!r} were read as dates ({words})",)
    for unit, scale in (("seconds", 1_000_000), ("milliseconds", 1_000)):  # 2001 to 2096
        if whole.is_between(10**15 // scale, 4 * 10**15 // scale).all():
            return (whole * scale).cast(pl.Datetime("us")), (f"{column.name!r} was read as Unix {unit}, UTC",)
    return whole, ()


def _texts(text: pl.Series, source: Source, rows: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    text, offset = _one_offset(text, source, rows)
    text = text.str.replace(r"^(\d{4})[-/](\d{1,2})$", "$1-$2-01")
    for quarter, month in ((1, "01"), (2, "04"), (3, "07"), (4, "10")):
        text = text.str.replace(rf"^(\d{{4}})[- ]?Q{quarter}$", f"$1-{month}-01")
    numeric = text.str.contains(r"^\d{1,2}[/-]\d{1,2}[/-]\d{4}")
    values, notes = _either_order(text, source, rows) if numeric.all() else (_parse(text, DATES), ())
    bad = values.is_null().arg_true()
    if len(bad):
        cell = text[bad[0]]
        mixed = numeric.any() and not numeric.all() and numeric[bad[0]]
        why = "is no date in the form of the other rows" if mixed else "is not a date"
        raise source.refuse(f"{cell!r} {why}", column=text.name, index=rows[bad[0]], mend=MEND)
    if offset in ("", "+00:00"):
        return values, notes
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    back = f"{'' if offset[0] == '-' else '-'}{60 * hours + minutes}m"
    if zones.only_midnights(values):
        return values, (*notes, f"times are midnights at offset {offset}, kept as its calendar days")
    return values.dt.offset_by(back), (*notes, f"times were converted from offset {offset} to UTC")


def _one_offset(text: pl.Series, source: Source, rows: pl.Series) -> tuple[pl.Series, str]:
    """Text without its offset from UTC, and that offset, which must be the same everywhere (or nowhere)."""
    found = text.str.extract(OFFSET)
    if found.null_count() == len(found):
        return text, ""
    plain = found.fill_null("none").str.replace(r"^(Z|UTC|GMT)$", "+00:00").str.replace(r"^(.\d\d):?(\d\d)$", "$1:$2")
    plain = plain.str.replace(r"^([+-]\d\d)$", "$1:00")
    other = (plain != plain[0]).arg_true()
    if len(other):
        what = f"mixed time zones: offset {plain[other[0]]} after {plain[0]} in row {source.row(rows[0])}"
        mend = "convert all to one zone first, such as UTC (pandas: pd.to_datetime(times, utc=True))"
        raise source.refuse(what, column=text.name, index=rows[other[0]], mend=mend)
    return text.str.replace(r"\s*(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)$", ""), plain[0]


def _either_order(text: pl.Series, source: Source, rows: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    """Day or month first: decided where one order fits every row and the other does not, else refused."""
    day, month = _parse(text, DAY_FIRST), _parse(text, MONTH_FIRST)
    likely, words = (day, "day first") if day.null_count() < month.null_count() else (month, "month first")
    bad = likely.is_null().arg_true()
    if len(bad):
        what = f"{text[bad[0]]!r} is no date that is written {words} like the rows before it"
        raise source.refuse(what, column=text.name, index=rows[bad[0]], mend=MEND)
    if day.null_count() != month.null_count():
        return likely, (f"dates were read {words}: the other order does not fit",)
    differs = (day != month).arg_true()
    if len(differs):
        what = f"{text[differs[0]]!r} can be day first or month first, and no row decides it"
        raise source.refuse(what, column=text.name, index=rows[differs[0]], mend=MEND)
    return day, ()


def _parse(text: pl.Series, dates: tuple[str, ...]) -> pl.Series:
    """Each value in whichever form fits it, null where none does: the first unread value picks the next form."""
    forms = [date + hours for date, hours in product(dates, HOURS)]
    result = pl.Series(text.name, [None], dtype=pl.Datetime("us")).new_from_index(0, len(text))
    left = text
    while forms and left.len():
        one = left[:1]
        fits = next((f for f in forms if _strptime(one, f).null_count() == 0), None)
        if fits is None:
            break
        forms.remove(fits)
        result = result.zip_with(result.is_not_null(), _strptime(text, fits))
        left = text.filter(result.is_null())
    return result


def _strptime(text: pl.Series, form: str) -> pl.Series:
    return text.str.strptime(pl.Datetime("us"), form, strict=False)
