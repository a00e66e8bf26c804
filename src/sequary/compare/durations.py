"""Spans of wall time as people write them: 45s, 5m, 1h30m, or a number of seconds; and spans of work: 200steps."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds(text: str | float) -> float:
    """`5m` is 300.0.

    Raises:
        ValueError: it is no span of time, or not positive.
    """
    if isinstance(text, str) and re.fullmatch(r"(\d+(\.\d+)?(h|ms|m|s))+", text.strip()):
        found = sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"([\d.]+)(h|ms|m|s)", text))
    else:
        try:
            found = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is no span of time; write it as 45s, 5m or 1h30m") from None
    if not 0 < found < float("inf"):
        raise ValueError(f"{text!r} is not a positive span of time; write it as 45s, 5m or 1h30m")
    return found


def steps(text: str | float) -> int | None:
    """`200steps` is 200; None: it is no number of steps."""
    found = re.fullmatch(r"(\d+) ?steps", text.strip()) if isinstance(text, str) else None
    return None if found is None else int(found[1])


def milliseconds(text: str | float) -> float:
    """`10ms`, or a number of milliseconds: 10.0."""
    bare = not isinstance(text, str) or not re.search("[a-z]", text)
    return seconds(text) if bare else 1000 * seconds(text)


def plural(count: int, what: str) -> str:
    """1 run, 3 runs."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def words(span: float) -> str:
    """3.2 s, 45 s, 5 min, 1 h 30 min."""
    if span < 99.5:
        return f"{span:.2g} s" if span < 10 else f"{span:.0f} s"
    minutes = round(span / 60)
    hours, rest = divmod(minutes, 60)
    return f"{minutes} min" if not hours else f"{hours} h{f' {rest} min' if rest else ''}"
