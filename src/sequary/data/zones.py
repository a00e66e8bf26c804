"""Time zones: moments are kept in UTC; days that begin at local midnight stay days of the calendar."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import polars as pl


def only_midnights(moments: pl.Series) -> bool:
    """Whether every moment is a midnight of its own zone."""
    return bool((moments.dt.time() == dt.time()).all()) if len(moments) else False


def strip(moments: pl.Series) -> tuple[pl.Series, str]:
    """Moments with a zone as moments without one, and what was done to them."""
    zone = moments.dtype.time_zone if isinstance(moments.dtype, pl.Datetime) else None
    if only_midnights(moments):
        return moments.dt.replace_time_zone(None), f"times are midnights in {zone}, kept as its calendar days"
    return moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None), f"times were converted from {zone} to UTC"


def attach(moments_utc: pl.Series, zone: str) -> pl.Series:
    """UTC moments in `zone`; in UTC where the zone is a bare offset, which polars has no name for."""
    known = zone if zone in zoneinfo.available_timezones() else "UTC"
    return moments_utc.dt.replace_time_zone("UTC").dt.convert_time_zone(known)


def restore(moments: pl.Series, origin: pl.Series) -> pl.Series:
    """The inverse of `strip` for new moments that continue `origin`."""
    zone = origin.dtype.time_zone if isinstance(origin.dtype, pl.Datetime) else None
    if only_midnights(origin):
        return moments.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return moments.dt.replace_time_zone("UTC").dt.convert_time_zone(zone or "UTC")
