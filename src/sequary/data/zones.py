"""Time zones, and offsets in text: moments are kept in UTC; days at one local time of the clock stay days of the calendar."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

import polars as pl

OFFSET = r":\d\d(?:\.\d+)?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"
MIDNIGHT = r"[T ]00:00(?::00(?:\.0+)?)?\s*(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"


def zone_of(moments: pl.Series) -> str | None:
    return moments.dtype.time_zone if isinstance(moments.dtype, pl.Datetime) else None


def only_midnights(moments: pl.Series) -> bool:
    """Whether every moment is a midnight of its own zone."""
    return bool((moments.dt.time() == dt.time()).all()) if len(moments) else False


def strip(moments: pl.Series) -> tuple[pl.Series, str]:
    """Moments with a zone as moments without one, and what was done to them."""
    zone, wall = zone_of(moments), calendar(moments)
    if wall is None:
        return moments.dt.convert_time_zone("UTC").dt.replace_time_zone(
            None
        ), f"times were converted from {zone} to UTC"
    if only_midnights(wall):
        return wall, f"times are midnights in {zone}, kept as its calendar days"
    return wall, f"times are at {wall[0].time()} of days in {zone}, kept as its calendar days"


def attach(moments_utc: pl.Series, zone: str) -> pl.Series:
    """UTC moments in `zone`; where it is a bare offset, in the zone of as many hours, or in UTC if they are not whole."""
    hours = re.fullmatch(r"(?:UTC)?([+-])(0[1-9]|1\d):00", zone)
    if hours:  # polars takes names only, and these count westwards
        zone = f"Etc/GMT{'-' if hours[1] == '+' else '+'}{int(hours[2])}"
    known = zone if zone in zoneinfo.available_timezones() else "UTC"
    return moments_utc.dt.replace_time_zone("UTC").dt.convert_time_zone(known)


def restore(moments: pl.Series, origin: pl.Series) -> pl.Series:
    """New moments in the zone of the column that they continue, or at the offset that its text has; else as they are."""
    zone = zone_of(origin)
    if zone is None:
        offset = kept_offset(origin) if origin.dtype == pl.String else ""
        return attach(moments, offset) if offset else moments
    if calendar(origin) is not None:
        return _located(moments, zone)
    return moments.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


def offsets(text: pl.Series) -> pl.Series:
    """The offset of each cell as +01:00, null where it has none."""
    found = text.str.extract(OFFSET).str.replace(r"^(Z|UTC|GMT)$", "+00:00")
    return found.str.replace(r"^([+-]\d\d):?(\d\d)$", "$1:$2").str.replace(r"^([+-]\d\d)$", "$1:00")


def kept_offset(text: pl.Series) -> str:
    """The offset that a column's moments were converted from; "" where there is none, or days of the calendar were kept."""
    text = text.str.strip_chars()
    found = offsets(text).drop_nulls()
    days = text.filter(text != "").str.contains(MIDNIGHT).all()
    return "" if found.is_empty() or days else str(found[0])


def minutes(offset: str) -> int:
    return int(f"{offset[0]}1") * (60 * int(offset[1:3]) + int(offset[4:6]))


def calendar(moments: pl.Series) -> pl.Series | None:
    """Moments as a calendar and one time of the clock, where every row stands at it (days that skip it: right after).

    None otherwise, and for a single moment that is no midnight, which may be one of hours as well as one of days.
    """
    local = moments.dt.replace_time_zone(None)
    known = local.drop_nulls()
    if known.n_unique() < 2 and not only_midnights(known):
        return None
    # Of two times as common, the later one is that of a day that skips the other.
    wall = local.dt.truncate("1d") + (known - known.dt.truncate("1d")).mode().min()
    seen = _located(wall, zone_of(moments) or "UTC").dt.replace_time_zone(None)
    return wall if (seen == local).all() else None


def _located(wall: pl.Series, zone: str) -> pl.Series:
    """What the clocks of `zone` show as moments: the first of two, the next that exists where clocks are put forward."""
    found = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    while found.null_count() > wall.null_count():
        later = wall.dt.truncate("30m").dt.offset_by("30m")
        wall = wall.zip_with(found.is_not_null(), later)
        found = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return found
