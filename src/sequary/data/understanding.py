"""What was understood of a table, in plain words and as a plain dict."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from sequary.data import seasons


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Covariate:
    name: str
    kind: Literal["static", "past", "future"]
    how: str
    categories: int
    """0 for numbers."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    file: str
    rows: int
    layout: Literal["long", "wide"]
    time: str
    id: str | None
    series: int
    lengths: tuple[int, int, int]
    """Steps of the shortest, the median and the longest series; rows beyond the last target left out."""
    channels: tuple[str, ...]
    frequency: str
    season: int
    start: str
    end: str
    gaps: int
    """Steps between a series' first and last row that have no row."""
    missing: int
    """Targets without a value in rows that exist."""
    duplicates: int
    unsorted: int
    ahead: int
    """Rows beyond the last target, with future covariates."""
    covariates: tuple[Covariate, ...]
    constant: tuple[str, ...]
    """Series (or channels of a wide table) that never change."""
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def lines(self) -> tuple[str, ...]:
        """One fact a line; what is not there is not mentioned, but for gaps and missing values."""
        short, median, long = self.lengths
        span = f"{short:,} steps" if short == long else f"{short:,} to {long:,} steps (median {median:,})"
        count = "1 series" if self.series == 1 else f"{self.series:,} series (column {self.id!r})"
        cells = self.rows * len(self.channels)
        lines = [
            f"{self.file}: {self.rows:,} rows, {self.layout}, {count}, {span}",
            f"target: {_some(self.channels)}",
            f"time: column {self.time!r}, {seasons.words(self.frequency)}, season {self.season}, {self.start} to {self.end}",
            f"gaps: {_count(self.gaps, 'step')}; missing values: {_count(self.missing, 'target')}"
            + (f" ({self.missing / cells:.1%})" if self.missing else ""),
        ]
        lines += [_covariate(c) for c in self.covariates]
        lines += [f"ahead: {_count(self.ahead, 'row')} of future covariates beyond the last target"] * bool(self.ahead)
        lines += [f"constant: {_some(self.constant)}: every forecast of it is as good as any"] * bool(self.constant)
        lines += [f"sorted: {_count(self.unsorted, 'row')} stood before an earlier one"] * bool(self.unsorted)
        return (*lines, *(f"note: {note}" for note in self.notes))

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _covariate(covariate: Covariate) -> str:
    kind = (
        f", {covariate.categories:,} categor{'y' if covariate.categories == 1 else 'ies'}"
        if covariate.categories
        else ""
    )
    return f"{covariate.kind} covariate: {covariate.name!r}{kind} ({covariate.how})"


def _count(n: int, noun: str) -> str:
    return "none" if n == 0 else f"{n:,} {noun}{'s' * (n != 1)}"


def _some(names: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
