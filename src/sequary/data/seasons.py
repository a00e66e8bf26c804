"""The names of steps, and the natural season of each: how many steps until people and weather repeat themselves."""

from __future__ import annotations

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
# What a letter of a polars duration counts, and how many of it.
UNITS = {
    "w": ("microseconds", 7 * DAY),
    "d": ("microseconds", DAY),
    "h": ("microseconds", HOUR),
    "m": ("microseconds", MINUTE),
    "s": ("microseconds", SECOND),
    "ms": ("microseconds", 1_000),
    "us": ("microseconds", 1),
    "y": ("months", 12),
    "q": ("months", 3),
    "mo": ("months", 1),
    "i": ("integers", 1),
}
WORDS = {"1s": "every second", "1m": "every minute", "1h": "hourly", "1d": "daily", "1w": "weekly", "1mo": "monthly"}
WORDS |= {"1q": "quarterly", "1y": "yearly", "1i": "whole numbers"}


def name(unit: str, step: int) -> str:
    """A polars duration, in its largest unit: 900,000,000 microseconds are 15m, three months 1q."""
    return next(f"{step // size}{letter}" for letter, (kind, size) in UNITS.items() if kind == unit and not step % size)


def words(every: str) -> str:
    return f"{WORDS[every]} ({every})" if every in WORDS else f"every {every}"


def natural(unit: str, step: int, length: int) -> int:
    """Steps in the day (steps of a minute and more), the week (days), the year (weeks and more); 1 where none fits.

    Below a minute it is the hour: a day of seconds is longer than any model looks back. Series no longer than the
    season cannot show it; they get the next shorter one (hour, minute). Integer time has none.
    """
    if unit == "integers":
        return 1
    if unit == "months":
        season = 12 // step if 12 % step == 0 else 1
        return season if season < length else 1
    if step >= DAY:
        season = round(365.25 * DAY / step) if step >= 7 * DAY else (7 if step == DAY else 1)
        return season if 1 < season < length else 1
    cycles = (DAY, HOUR) if step >= MINUTE else (HOUR, MINUTE)
    return next((c // step for c in cycles if c % step == 0 and 1 < c // step < length), 1)
