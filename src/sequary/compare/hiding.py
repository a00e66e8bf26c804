"""Which known cells of a panel a comparison of imputers hides, and how wrong estimates of them are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from sequary.compare import scoring
from sequary.compare.options import BadArgument
from sequary.data.errors import DataError
from sequary.data.panel import Floats, Panel
from sequary.data.scaling import moments
from sequary.tasks.impute.fitted import Filled
from sequary.tasks.impute.gaps import Bools, Ints, hidden

RATES = (0.1, 0.3, 0.5)
"""Of each part in turn."""
PARTS = (12, 9, 6)
CHOICE = 3
"""Parts that choose settings: one of each rate."""
SHORT = 96
"""The longest season that is a block by itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class Hiding:
    cells: tuple[Bools, ...]
    """[T, C] of each series."""
    parts: tuple[Ints, ...]
    """[T] of each series: the part that a step belongs to."""
    roles: tuple[Literal["choice", "board"], ...]
    """Of each part."""
    rates: tuple[float, ...]
    block: int

    def perturbed(self, panel: Panel) -> Panel:
        """Other values in all hidden cells; a tenth of them goes missing."""
        rng = np.random.default_rng(0)
        series = list(panel.series)
        for i, (one, gone) in enumerate(zip(series, self.cells, strict=True)):
            size = np.nanmean(np.abs(one.values)) + 1.0
            other = size * (3.0 + rng.normal(size=one.values.shape)) - 1.7 * one.values
            other[rng.random(other.shape) < 0.1] = np.nan
            series[i] = dataclasses.replace(one, values=np.where(gone, other, one.values))
        return dataclasses.replace(panel, series=tuple(series))

    def pictures(self, panel: Panel, units: list[str], most: int) -> tuple[str, ...]:
        """ "unit@step": the first block of the last part for units spread over all."""
        found: list[str] = []
        for u in range(0, len(units), max(1, -(-len(units) // most))):
            i, c = divmod(u, len(panel.channels))
            at = np.flatnonzero(self.cells[i][:, c] & (self.parts[i] == len(self.roles) - 1))
            found += [f"{units[u]}@{at[0]}"] if len(at) else []
        return tuple(found)


def seen(panel: Panel, hidden: Sequence[Bools]) -> Panel:
    """What an imputer may look at."""
    series = (
        dataclasses.replace(s, values=np.where(h, np.nan, s.values)) for s, h in zip(panel.series, hidden, strict=True)
    )
    return dataclasses.replace(panel, series=tuple(series))


def lay(panel: Panel, block: int | None, source: str) -> tuple[Hiding, Panel, tuple[str, ...]]:
    """What is hidden of which series, and notes on it.

    Raises:
        DataError, BadArgument: nothing is long enough.
    """
    count, steps = _sizes(panel, block, source)
    rates = tuple(RATES[f % len(RATES)] for f in range(count))
    kept, cells, parts = list[int](), list[Bools](), list[Ints]()
    for i, series in enumerate(panel.series):
        part_T = np.arange(len(series)) * count // len(series)
        gone, rng = np.zeros(series.values.shape, bool), np.random.default_rng((0, i))
        for f, rate in enumerate(rates):
            here = np.flatnonzero(part_T == f)
            if len(here):
                gone[here] = hidden(np.isfinite(series.values[here]), rate, np.array([steps]), rng)
        if (np.isfinite(series.values) & ~gone).sum(axis=0).min() > 1:
            kept.append(i)
            cells.append(gone)
            parts.append(part_T)
    if not kept:
        raise DataError(
            "no series has two known values a channel beside the hidden ones", file=source, mend="give more rows"
        )
    left_out = len(panel.series) - len(kept)
    rule = (
        f"hidden: blocks of {steps} steps, each channel by itself, {', '.join(f'{r:.0%}' for r in RATES)} of {count} parts in "
        f"turn: {CHOICE} parts choose settings, {count - CHOICE} make the board; learnt from all that is not hidden"
    )
    short = (f"{left_out} series with a channel of fewer than two values are left out",) if left_out else ()
    roles: list[Literal["choice", "board"]] = ["choice" if f < CHOICE else "board" for f in range(count)]
    panel = dataclasses.replace(panel, series=tuple(panel.series[i] for i in kept))
    return Hiding(tuple(cells), tuple(parts), tuple(roles), rates, steps), panel, (*short, rule)


def _sizes(panel: Panel, block: int | None, source: str) -> tuple[int, int]:
    """Number of parts, and steps of a block: a season where it is short, else 12, fewer in short series."""
    median, least = int(np.median([len(s) for s in panel.series])), PARTS[-1]
    if median < 4 * least:
        what = f"the median series has {median} steps, {4 * least} are needed to hide some and learn from the rest"
        raise DataError(what, file=source, mend="give more rows")
    season = panel.frequency.season
    steps = block or min(season if 1 < season <= SHORT else 12, max(1, median // 30))
    if steps > median // (2 * least):
        raise BadArgument(f"horizon={steps}: blocks of at most {median // (2 * least)} steps fit into these series")
    return next((n for n in PARTS if median // n >= 5 * steps), least), steps


def losses(
    panel: Panel, hiding: Hiding, said: Sequence[Filled], role: str, levels: Sequence[float]
) -> dict[str, Floats]:
    """Metric -> [units, parts of the role], errors in deviations of what is known of the channel; infinite where a hidden
    cell was not filled."""
    folds = [f for f, r in enumerate(hiding.roles) if r == role]
    width = len(panel.channels)
    found: dict[str, Floats] = {}

    def put(name: str, unit: int, fold: int, value: float) -> None:
        shape = (len(panel.series) * width, len(folds))
        found.setdefault(name, np.full(shape, np.nan))[unit, fold] = value

    known = seen(panel, hiding.cells)
    each = zip(panel.series, known.series, said, hiding.cells, hiding.parts, strict=True)
    for i, (series, left, filled, gone, part_T) in enumerate(each):
        size_C = moments(left.values)[1]
        error_TC = np.abs(filled.values - series.values) / np.where(size_C > 0, size_C, 1.0)
        inside = {c: np.abs(filled.values - series.values) <= half for c, half in filled.half.items()}
        for (f, fold), c in ((pair, c) for pair in enumerate(folds) for c in range(width)):
            cells = gone[:, c] & (part_T == fold)
            if not cells.any():
                continue
            error, unit = np.nan_to_num(error_TC[cells, c], nan=np.inf), i * width + c
            put("mae", unit, f, float(error.mean()))
            put("rmse", unit, f, float(np.sqrt((error**2).mean())))
            put(f"mae_{100 * hiding.rates[fold]:.0f}", unit, f, float(error.mean()))
            for level in levels if filled.half else ():
                put(f"coverage_{scoring.percent(level)}", unit, f, float(inside[level][cells, c].mean()))
    return found
