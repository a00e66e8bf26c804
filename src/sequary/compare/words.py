"""What a board's page calls things: a forecast made at an origin is a series told in a fold where series are classified."""

from __future__ import annotations

import dataclasses

from sequary.compare.prepare import module


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    one: str
    """What latency is of: "forecast", as in "3.0 ms per forecast"."""
    many: str
    """What the leak probe counts and compares."""
    point: str
    """What a fold is: "origin"; with an s for several."""
    head: str
    """Of the column that says where each fold lies."""
    hidden: str
    """What the leak probe changes."""
    scale: str = ""
    """Of what errors are, where not of the data's own units."""


def of(task: str) -> Words:
    """`WORDS` of the task's module.

    Raises:
        BadArgument: no task has that name.
    """
    found: Words = module(task).WORDS
    return found
