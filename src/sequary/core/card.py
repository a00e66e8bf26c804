"""What a system file says about itself: its card and its claim. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Written as a literal, so that it is read without importing the file."""

    id: str
    title: str
    kind: str
    year: int | None = None
    arxiv: str | None = None
    aliases: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    params: Mapping[str, tuple[float, str]] = dataclasses.field(default_factory=dict[str, tuple[float, str]])
    """Size -> (parameters as the paper prints them, its table)."""
    notes: tuple[str, ...] = ()
    """Where the paper and the authors' code differ, what a converter declines and why, what we do differently."""
    covers: tuple[str, ...] = ()
    """For a survey: the slugs that it covers."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What makes a system worth having, and the small experiment that could refute it."""

    text: str
    experiment: str
    """A template of `claims/`, or the slug of a special one."""
    against: str | None = None
    """Its right baseline: a slug."""
    metric: str = ""
    better: Literal["higher", "lower"] = "lower"
    margin: float = 0.0
    """Differences within it count as none (the claim does not hold). Below zero: how much worse still counts as as good."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
