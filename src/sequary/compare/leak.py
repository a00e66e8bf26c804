"""The leak probe: nothing after an origin may move a forecast made there, not by the last bit.

For every origin, everything after it but declared future covariates is changed (values turned over, scaled and made noisy,
gaps filled and values taken away, past covariates alike), the whole pipeline (scaling, training steps, early stopping,
forecasts) is replayed from the same seeds with few steps, in the precision and with the setting of the final runs, and
its forecasts are compared with those from the true data. They must be equal bit for bit: the greatest move must be exactly
0.0. A forecast that is finite only once moves by infinity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sequary.compare.ask import Ask
from sequary.compare.backtest import forecasts
from sequary.compare.entrants import Entrant
from sequary.compare.folds import Folds, Origin
from sequary.data.panel import Forecast, Panel

Floats = NDArray[np.float64]

STEPS = 4
"""Of a replay, with a look at the validation part after each, so that what stops early has something to choose."""


def perturbed(panel: Panel, origin: Origin, seed: int) -> Panel:
    """Another future: same rows, same declared future covariates and constants, everything else different."""
    rng = np.random.default_rng(seed)
    series = tuple(
        dataclasses.replace(s, values=_other(s.values, rows, rng), past=_other(s.past, rows, rng))
        for s, rows in zip(panel.series, origin.rows, strict=True)
    )
    return dataclasses.replace(panel, series=series)


def _other(x_TC: Floats, rows: int, rng: np.random.Generator) -> Floats:
    """Other values from row `rows` on; a tenth of them goes missing, and half of the missing ones appear."""
    known = x_TC[:rows][np.isfinite(x_TC[:rows])]
    size = float(np.abs(known).mean()) + 1.0 if known.size else 1.0
    tail = x_TC[rows:]
    noise, luck = size * (3.0 + rng.normal(size=tail.shape)), rng.random(tail.shape)
    missing = np.isnan(tail)
    changed = np.where(missing & (luck < 0.5), noise, noise - 1.7 * tail)
    changed[~missing & (luck < 0.1)] = np.nan
    return np.concatenate([x_TC[:rows], changed])


def shift(before: Sequence[Forecast], after: Sequence[Forecast]) -> float:
    """The greatest move between two lists of forecasts of the same series: means and quantiles."""
    if [f.id for f in before] != [f.id for f in after]:
        return float("inf")
    pairs = [
        (old, new)
        for a, b in zip(before, after, strict=True)
        for old, new in ((a.mean, b.mean), *((a.quantiles[p], b.quantiles[p]) for p in a.quantiles))
    ]
    return max((_move(old, new) for old, new in pairs), default=0.0)


def _move(old: Floats, new: Floats) -> float:
    if np.array_equal(old, new, equal_nan=True):
        return 0.0
    with np.errstate(invalid="ignore"):
        moved = np.abs(old - new)
    return float("inf") if np.isnan(moved).any() else float(moved.max())


def quick(entrant: Entrant, ask: Ask) -> Ask:
    """Few steps on small batches, or small sizes of a rival; all else as it is asked for."""
    steps = STEPS if entrant.trained else None
    return ask.but(setting={**entrant.light(), **ask.setting}, steps=steps, evaluations=STEPS)


def probe(entrant: Entrant, panel: Panel, folds: Folds, ask: Ask) -> list[float]:
    """For each origin, the greatest move of the entrant's forecasts when everything after it is another."""
    ask = quick(entrant, ask)
    found: list[float] = []
    for origins in (folds.choice, folds.board):
        _, true = forecasts(entrant, panel, origins[0], origins, ask)
        for origin, said in zip(origins, true, strict=True):
            other = perturbed(panel, origin, seed=len(found))
            _, replayed = forecasts(entrant, other, origins[0], [origin], ask)
            found.append(shift(said, replayed[0]))
    return found
