"""Words of the command line as values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any


def names(text: str) -> tuple[str, ...]:
    """`a,b` as ("a", "b"); a column whose name holds a comma has to be renamed."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def some(text: str) -> tuple[str, ...]:
    """`a,b` as ("a", "b"), and at least one."""
    found = names(text)
    if not found:
        raise ValueError(f"{text!r} names nothing; write names separated by commas, such as dlinear,patchtst")
    return found


def whole(flag: str, text: str) -> int:
    """`24`, or `1e6`, as an int."""
    try:
        number = float(text)
    except ValueError:
        number = 0.5
    if not number.is_integer():
        raise ValueError(f"{flag} {text}: a whole number is needed, such as {flag} 24")
    return int(number)


def several(flag: str) -> Callable[[str], tuple[int, ...]]:
    """Of words such as `256,1024`, as whole numbers above 0."""

    def parse(text: str) -> tuple[int, ...]:
        found = tuple(whole(flag, word) for word in some(text))
        if min(found) < 1:
            raise ValueError(f"{flag} {text}: numbers above 0 are needed, such as {flag} 256,1024")
        return found

    return parse


def number(flag: str) -> Callable[[str], float]:
    """Of words such as `0.8`, as a float."""

    def parse(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{flag} {text}: a number is needed, such as {flag} 0.8") from None

    return parse


def shares(text: str) -> tuple[float, ...]:
    """`80,95` as (0.8, 0.95)."""
    try:
        found = tuple(float(word) / 100 for word in text.split(","))
    except ValueError:
        raise ValueError(f"--level {text}: write percents separated by commas, such as 80,95") from None
    if not all(0 < share < 1 for share in found):
        raise ValueError(f"--level {text}: each must lie between 0 and 100, such as 80,95")
    return tuple(sorted(set(found)))


def settings(pairs: Sequence[str]) -> dict[str, Any]:
    """`dim=64` as {"dim": 64}: Python's numbers, tuples, True, False and None; anything else is a word."""
    found: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals or not path:
            raise ValueError(f"--set {pair}: write PATH=VALUE, such as dim=64 or stages__0__train__lr=0.001")
        try:
            found[path] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[path] = text
    return found
