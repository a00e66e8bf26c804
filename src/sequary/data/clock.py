"""A column of times as moments (datetime64[us], UTC) or as integers, in words what had to be decided for that, and back."""

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
SHORT_YEAR = r"^(?:[A-Z][a-z]{2} )?\d{1,3}(?:[-/.]\d{1,2}[-/.]|[ -][A-Z][a-z]{2}[ -]|, )\d{1,3}(?:\D|$)"
# The least and the greatest whole number of each form, and the microseconds of a step (2001 to 2096).
DIGITS = {"YYYYMMDD": (19_000_101, 21_001_231), "YYYYMM": (190_001, 210_012)}
UNIX = {"seconds": 1_000_000, "milliseconds": 1_000}
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
        plain, note = zones.strip(column) if zones.zone_of(column) else (column, "")
        return plain.cast(pl.Datetime("us")), (note,) if note else ()
    if column.dtype.is_numeric():
        return _integers(column, source, rows)
    if column.dtype == pl.String:
        return _texts(column.str.strip_chars(), source, rows)
    raise source.refuse(f"{column.dtype} is no time", column=column.name, mend="name the time column with --time")


def like(moments: pl.Series, origin: pl.Series) -> pl.Series:
    """The inverse of `moments` for new moments that continue `origin`: in its zone, its whole numbers, text at its offset."""
    if zones.zone_of(origin):
        return zones.restore(moments, origin)
    if origin.dtype.is_numeric():
        return _whole(moments, _form(origin.drop_nulls().cast(pl.Int64)))
    if origin.dtype != pl.String:
        return moments
    offset = zones.kept_offset(origin)
    return text(moments.dt.offset_by(f"{zones.minutes(offset)}m"), offset) if offset else text(moments)


def text(moments: pl.Series, offset: str = "") -> pl.Series:
    """As `moments` reads them again: dates where all are midnights, fractions of seconds where there are some.

    Moments with a zone have their offset from UTC; where that changes they are in UTC, since a column has one offset.
    """
    days = None if offset else zones.calendar(moments)
    if days is not None and zones.only_midnights(days):
        return days.dt.to_string("%Y-%m-%d")
    if zones.zone_of(moments):
        changes = (moments.dt.base_utc_offset() + moments.dt.dst_offset()).drop_nulls().n_unique() > 1
        moments, offset = moments.dt.convert_time_zone("UTC") if changes else moments, "%:z"
    whole = (moments.dt.epoch("us") % 1_000_000 == 0).all()
    return moments.dt.to_string(f"%Y-%m-%d %H:%M:%S{'' if whole else '%.6f'}{offset}")


def _integers(column: pl.Series, source: Source, rows: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    whole = column.cast(pl.Int64, strict=False)
    bad = ((whole.cast(pl.Float64) != column.cast(pl.Float64)).fill_null(value=True)).arg_true()
    if len(bad):
        what = f"{column[bad[0]]} is no whole number of steps"
        raise source.refuse(
            what, column=column.name, index=rows[bad[0]], mend="write times as dates or as whole numbers"
        )
    form = _form(whole)
    if form in DIGITS:
        return _dates(whole, form), (f"whole numbers in {column.name!r} were read as dates ({form})",)
    if form in UNIX:
        return (whole * UNIX[form]).cast(pl.Datetime("us")), (f"{column.name!r} was read as Unix {form}, UTC",)
    return whole, ()


def _form(whole: pl.Series) -> str:
    """How whole numbers write moments, "" where they are no more than numbers."""
    if whole.name.lower() not in NAMES:
        return ""
    for form, (low, high) in DIGITS.items():
        if whole.is_between(low, high).all() and _dates(whole, form).null_count() == 0:
            return form
    return next((u for u, us in UNIX.items() if whole.is_between(10**15 // us, 4 * 10**15 // us).all()), "")


def _dates(whole: pl.Series, form: str) -> pl.Series:
    text = whole.cast(pl.String) + ("" if form == "YYYYMMDD" else "01")
    return _strptime(text, "%Y%m%d")


def _whole(moments: pl.Series, form: str) -> pl.Series:
    if form in UNIX:
        return moments.dt.epoch("us") // UNIX[form]
    return moments.dt.to_string("%Y%m%d" if form == "YYYYMMDD" else "%Y%m").cast(pl.Int64)


def _texts(text: pl.Series, source: Source, rows: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    short = text.str.contains(SHORT_YEAR).arg_true()
    if len(short):
        what, mend = f"{text[short[0]]!r} is a date whose year is cut short", "write the year with four digits"
        raise source.refuse(what, column=text.name, index=rows[short[0]], mend=mend)
    days = bool(text.str.contains(zones.MIDNIGHT).all())
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
    if days:
        return values, (*notes, f"times are midnights at offset {offset}, kept as its calendar days")
    note = f"times were converted from offset {offset} to UTC"
    return values.dt.offset_by(f"{-zones.minutes(offset)}m"), (*notes, note)


def _one_offset(text: pl.Series, source: Source, rows: pl.Series) -> tuple[pl.Series, str]:
    """Text without its offset from UTC, and that offset, which must be the same everywhere (or nowhere)."""
    found = zones.offsets(text)
    if found.null_count() == len(found):
        return text, ""
    plain = found.fill_null("none")
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
