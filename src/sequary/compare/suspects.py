"""Covariates that are the target in disguise: x_t = a y_{t+k} + b for a shift k of at most max(horizon, season) steps.

Whether such a column leaks depends on k and on when it is known. At an origin the last known row is T - 1:
a *future* covariate is given up to row T - 1 + H and shows the target up to T - 1 + H + k: a leak if k > -H;
a *past* covariate is given up to row T - 1 and shows the target up to T - 1 + k: a leak if k > 0.
The others are lags of what the model sees anyway; they are named too, as harmless.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from sequary.data.panel import Panel, Series

Floats = NDArray[np.float64]

EXACT = 1 - 1e-9
"""Least |correlation| of a copy."""
LEAST = 8
"""Fewest values, beside the commonest one, that can show a copy: two always correlate, and so do two columns of zeros with one
event each."""
PROBES = 512


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """x_t = slope * y_{t+shift} + offset."""

    shift: int
    slope: float
    offset: float


def _pairs(x_N: Floats, y_T: Floats, shift: int) -> tuple[Floats, Floats]:
    """x_t beside y_{t+shift}, where both are known."""
    start, stop = max(0, -shift), min(len(x_N), len(y_T) - shift)
    if stop <= start:
        return np.empty(0), np.empty(0)
    x, y = x_N[start:stop], y_T[start + shift : stop + shift]
    known = np.isfinite(x) & np.isfinite(y)
    return x[known], y[known]


def _telling(x: Floats) -> int:
    """How many values are not the commonest one."""
    return len(x) - int(np.unique(x, return_counts=True)[1].max()) if len(x) else 0


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    """|correlation| (0 where there is none), slope and offset of x on y."""
    if min(_telling(x), _telling(y)) < LEAST:
        return 0.0, 0.0, 0.0
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dy @ dy))
    offset = float(x.mean() - slope * y.mean())
    rounded = abs(offset) < 1e-9 * np.ptp(x)
    return float(abs(dx @ dy) / np.sqrt((dx @ dx) * (dy @ dy))), slope, 0.0 if rounded else offset


def _possible(x_N: Floats, y_T: Floats, shifts: NDArray[np.int64]) -> list[int]:
    """Shifts that a sample of rows does not rule out, nearest first: a copy must correlate on it too."""
    rows_M = np.unique(np.linspace(0, len(x_N) - 1, PROBES).astype(np.int64))
    at_KM = rows_M + shifts[:, None]
    inside_KM = (at_KM >= 0) & (at_KM < len(y_T))
    y_KM = np.where(inside_KM, y_T[np.clip(at_KM, 0, len(y_T) - 1)], np.nan)
    known_KM = np.isfinite(y_KM) & np.isfinite(x_N[rows_M])
    count_K1 = np.maximum(known_KM.sum(axis=1, keepdims=True), 1)
    x_KM, y_KM = np.where(known_KM, x_N[rows_M], 0.0), np.where(known_KM, y_KM, 0.0)
    dx_KM = np.where(known_KM, x_KM - x_KM.sum(axis=1, keepdims=True) / count_K1, 0.0)
    dy_KM = np.where(known_KM, y_KM - y_KM.sum(axis=1, keepdims=True) / count_K1, 0.0)
    cross_K, size_K = (dx_KM * dy_KM).sum(axis=1), np.sqrt((dx_KM**2).sum(axis=1) * (dy_KM**2).sum(axis=1))
    return [int(k) for k in shifts[np.abs(cross_K) >= 0.999 * size_K]]


def find_copy(x_N: Floats, y_T: Floats, reach: int) -> Copy | None:
    """The nearest shift within +-`reach` at which x is an affine map of y, or None; of two, the later."""
    if not len(x_N) or not len(y_T):
        return None
    shifts = np.array(sorted(range(-reach, reach + 1), key=lambda k: (abs(k), -k)))
    for shift in _possible(x_N, y_T, shifts):
        correlation, slope, offset = _line(*_pairs(x_N, y_T, shift))
        if correlation >= EXACT:
            return Copy(shift, slope, offset)
    return None


def _steps(count: int) -> str:
    return f"{count} {'step' if count == 1 else 'steps'}"


def _equation(name: str, target: str, copy: Copy) -> str:
    when = "" if copy.shift == 0 else f" {_steps(abs(copy.shift))} {'later' if copy.shift > 0 else 'earlier'}"
    if abs(copy.slope - 1) < 1e-6 and abs(copy.offset) < 1e-6:
        return f"'{name}' equals '{target}'{when}"
    plus = f" {'+' if copy.offset > 0 else '-'} {abs(copy.offset):.6g}" if copy.offset else ""
    return f"'{name}' equals {copy.slope:.6g} × '{target}'{when and f' ({when.strip()})'}{plus}"


def _verdict(copy: Copy, *, future: bool, horizon: int) -> str:
    """What the copy does at an origin, and the mend."""
    if future and copy.shift > -horizon:
        mend = f"drop it, or shift it at least {_steps(horizon + copy.shift)} into the past"
        other = ", or declare it a past covariate" if copy.shift <= 0 else ""
        return f"a leak: given beforehand, it shows the target after the origin; {mend}{other}"
    if copy.shift > 0:
        mend = f"drop it, or shift it at least {_steps(copy.shift)} into the past"
        return f"a leak: it shows the target after the origin; {mend}"
    if copy.shift == 0:
        return "no leak, as it is known up to the origin only, but it tells nothing new; drop it"
    return "no leak: a lag of what is known at the origin anyway; it can be dropped"


def _in_series(series: Series, future: bool, column: int, channel: int, reach: int) -> Copy | None:
    x_N = (series.future if future else series.past)[:, column]
    return find_copy(x_N, series.values[:, channel], reach)


def suspects(panel: Panel, horizon: int) -> list[str]:
    """One sentence for each covariate and target that it copies; leaks first. A copy in any one series is enough."""
    reach = max(horizon, panel.frequency.season)
    found: list[tuple[bool, str]] = []
    declared = [(False, i, name) for i, name in enumerate(panel.past)] + [
        (True, i, name) for i, name in enumerate(panel.future)
    ]
    for future, column, name in declared:
        for channel, target in enumerate(panel.channels):
            copies = [_in_series(series, future, column, channel, reach) for series in panel.series]
            seen = {c.shift: c for c in copies if c is not None}
            if not seen:
                continue
            copy = seen[max(seen)]  # the shift that shows most
            count = sum(c is not None for c in copies)
            where = "" if count == len(copies) else f" in {count} of {len(copies)} series"
            verdict = _verdict(copy, future=future, horizon=horizon)
            kind = "future" if future else "past"
            sentence = f"{kind} covariate {_equation(name, target, copy)}{where}: {verdict}."
            found.append((verdict.startswith("a leak"), sentence))
    return [sentence for _, sentence in sorted(found, key=lambda item: not item[0])]
