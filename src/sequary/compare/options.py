"""What a user asks of a comparison, checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from sequary.compare import durations, store
from sequary.compare.machine import cores
from sequary.compare.measure import Limits
from sequary.compare.plan import LEAST
from sequary.data.roles import Columns


class BadArgument(ValueError):
    """What a comparison was asked for makes no sense: the value and the mend, on one line."""


LEVELS = (0.8, 0.95)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    horizon: int | None
    budget: float
    """Seconds of wall time; infinite where `steps` says how much is done."""
    steps: int | None
    """Of the last rung and of each final run, whatever they take; None: what the budget buys."""
    systems: tuple[str, ...] | None
    family: str | None
    metric: str | None
    limits: Limits
    seeds: int
    levels: tuple[float, ...] | None
    """Of intervals; None: the usual ones."""
    out: Path
    workers: int
    season: int | None = None
    """Steps; None: the natural one of the data's step."""

    @property
    def intervals(self) -> tuple[float, ...]:
        return LEVELS if self.levels is None else self.levels

    @property
    def budget_s(self) -> float | None:
        """None where it is without limit."""
        return None if math.isinf(self.budget) else self.budget


def without_levels(given: Options, who: str) -> None:
    """Refuses levels where nobody gives intervals."""
    if given.levels:
        raise BadArgument(f"levels={list(given.levels)}: {who} give no intervals; leave them out")


def roles(columns: Columns | Mapping[str, str | Sequence[str]]) -> Columns:
    """`{"time": "day", "future": ["price"]}` as columns: one name for time and id, any number for the others.

    Raises:
        BadArgument: neither, or a role that there is not.
    """
    if isinstance(columns, Columns):
        return columns
    known = [field.name for field in dataclasses.fields(Columns)]
    if not isinstance(columns, Mapping) or not set(columns) <= set(known):
        raise BadArgument(f'columns={columns!r}: give names by role ({", ".join(known)}), such as {{"target": ["y"]}}')
    one = {role: name for role, name in columns.items() if role in ("time", "id", "label")}
    wrong = next((role for role, name in one.items() if not isinstance(name, str)), None)
    if wrong is not None:
        raise BadArgument(f"columns: {wrong}={one[wrong]!r} is not one name; give one, such as {wrong}='day'")
    some = {role: (n,) if isinstance(n, str) else tuple(n) for role, n in columns.items() if role not in one}
    return Columns(**one, **some)  # pyright: ignore[reportArgumentType]  # one has names, some has tuples of them


def options(
    *,
    horizon: int | None,
    budget: str | float,
    systems: Sequence[str] | None,
    family: str | None,
    metric: str | None,
    max_latency: str | float | None,
    max_params: int | None,
    seeds: int,
    levels: Sequence[float] | None,
    out: str | Path,
    season: int | None = None,
) -> Options:
    """Checked.

    Longer than 40 lines because it lists every option and what is wrong with it.

    Raises:
        BadArgument: a value without sense.
        OutputError: `out` cannot be written.
    """
    for name, number in (("horizon", horizon), ("seeds", seeds), ("max_params", max_params), ("season", season)):
        if number is not None and not isinstance(number, int):
            raise BadArgument(f"{name}={number!r} is no whole number; give one, such as 24")
    if horizon is not None and horizon < 1:
        raise BadArgument(f"horizon={horizon}: forecasts look at least 1 step ahead; give a positive whole number")
    if season is not None and season < 1:
        raise BadArgument(f"season={season}: give the steps until the data repeat themselves; 1 where they do not")
    if seeds < 1:
        raise BadArgument(f"seeds={seeds}: at least 1 is needed; 3 show how much chance decides")
    bad = [c for c in levels or () if not 0 < c < 1]
    if bad:
        raise BadArgument(f"levels={bad}: shares of intervals lie between 0 and 1, such as 0.8 for 80 %")
    if max_params is not None and max_params < 0:
        raise BadArgument(f"max_params={max_params}: give a positive number")
    if systems is not None and family is not None:
        raise BadArgument("systems and family are two ways to say who takes part; give one of them")
    try:
        steps = durations.steps(budget)
        span = durations.seconds(budget) if steps is None else math.inf
    except ValueError as error:
        raise BadArgument(f"budget={budget!r}: {error}") from None
    try:
        limit = None if max_latency is None else durations.milliseconds(max_latency)
    except ValueError:
        raise BadArgument(f"max_latency={max_latency!r} is no time; give milliseconds, or such as 10ms") from None
    if steps is not None and steps < LEAST:
        raise BadArgument(
            f"budget={budget!r}: a run of less than {LEAST} steps says nothing; give {LEAST}steps or more"
        )
    store.check(Path(out))
    return Options(
        horizon=horizon,
        budget=span,
        steps=steps,
        systems=None if systems is None else (systems,) if isinstance(systems, str) else tuple(dict.fromkeys(systems)),
        family=family,
        metric=metric,
        limits=Limits(params=max_params, latency_ms=limit),
        seeds=seeds,
        levels=None if levels is None else tuple(sorted(levels)),
        out=Path(out),
        workers=cores(),
        season=season,
    )
