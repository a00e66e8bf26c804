"""New data held against the data contract: what differs so that forecasts may not be what they were, in words."""

from __future__ import annotations

import numpy as np
import polars as pl

from sequary.data.panel import Floats, Panel
from sequary.tasks.forecast.contract import Contract

OUTSIDE = 0.01
"""Share of values beyond the range of training (a tenth wider on each side) from which on it is told."""
MISSING = 0.1
"""The same for missing values: by how much their share has grown."""


class DriftWarning(UserWarning):
    """The data differ from those that the model was fitted on."""


def drift(contract: Contract, frame: pl.DataFrame, panel: Panel) -> list[str]:
    """One line a finding; `frame` is what `panel` was read from."""
    kinds = {
        "value": (panel.channels, [s.values for s in panel.series]),
        "past covariate": (panel.past, [s.past for s in panel.series]),
        "future covariate": (panel.future, [s.future for s in panel.series]),
        "static covariate": (panel.static, [s.static[None] for s in panel.series]),
    }
    found: list[str] = []
    for names, rows in kinds.values():
        for name, column in zip(names, np.concatenate(rows).T, strict=True):
            if name in contract.ranges:
                found += _column(name, column, contract.ranges[name])
    return [*found, *_frequency(contract, panel), *_categories(contract, frame), *_ahead(contract, panel)]


def _column(name: str, column: Floats, range: tuple[float, float, float]) -> list[str]:
    low, high, missing = range
    known = column[np.isfinite(column)]
    margin = 0.1 * (high - low)
    odd = known[(known < low - margin) | (known > high + margin)]
    found: list[str] = []
    if len(odd) > OUTSIDE * len(known):
        share = f"{len(odd) / len(known):.0%}"
        found.append(f"column {name!r}: {share} of the values lie outside {low:g} to {high:g}, such as {odd[0]:g}")
    now = 1 - len(known) / max(len(column), 1)
    if now > missing + MISSING:
        found.append(f"column {name!r}: {now:.0%} of the values are missing, {missing:.0%} were in training")
    return found


def _frequency(contract: Contract, panel: Panel) -> list[str]:
    """Rows of a coarser grid lie on the finer one with gaps; rows of a finer one are refused before this."""
    steps = [np.diff(np.flatnonzero(np.isfinite(s.values).any(axis=1))) for s in panel.series]
    gaps, counts = np.unique(np.concatenate(steps), return_counts=True)
    if not len(gaps) or gaps[counts.argmax()] == 1:
        return []
    return [f"rows come every {gaps[counts.argmax()]} steps of {contract.frequency.every}, the step in training"]


def _categories(contract: Contract, frame: pl.DataFrame) -> list[str]:
    found: list[str] = []
    for name, known in contract.categories.items():
        new = sorted(set(frame[name].cast(pl.String).drop_nulls()) - set(known))
        if new:
            some = ", ".join(map(repr, new[:3])) + (f" and {len(new) - 3} more" if len(new) > 3 else "")
            found.append(f"column {name!r}: {some} were not in training and are all treated as unknown")
    return found


def _ahead(contract: Contract, panel: Panel) -> list[str]:
    found: list[str] = []
    for j, name in enumerate(panel.future):
        given = [int(np.isfinite(s.future[len(s) : len(s) + contract.horizon, j]).sum()) for s in panel.series]
        if min(given) < contract.horizon:
            series = panel.series[int(np.argmin(given))].id
            what = f"known for {min(given)} of the {contract.horizon} steps after the end of series {series!r}"
            found.append(f"future covariate {name!r}: {what}; what is missing is taken as its mean, or as unknown")
    return found
