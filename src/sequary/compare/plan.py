"""How a budget is spent: one equal share for each candidate that learns, and what each share buys.

A budget of B seconds on W cores is W B core-seconds; n candidates that learn get W B / n each, less what refitting the
winner takes. From its share a system pays its measuring, the three rungs of successive halving (S settings at N/4 steps,
the better half at N/2, the better half of these at N) and one final run of N steps for each seed. N is all that fits, by
the measured seconds of a run's start, of a step and of a look at the validation part.

A budget may be given as N instead: then nothing that was measured counts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

LEAST_STEPS = 25
"""Of the first rung; with fewer, fewer settings are tried."""
LEAST = 8
"""Steps below which a run says nothing."""
TOLERANCE = 0.9
"""Final runs are shortened only if less than this part of the time that they need is left."""
RUNGS = (4, 2, 1)
"""A rung's part of all steps: a quarter, half, all."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Measured seconds of one run: its start and its forecasts, one step, one look at the validation part."""

    start: float
    step: float
    look: float

    def of(self, steps: int, looks: int) -> float:
        return self.start + steps * self.step + min(steps, looks) * self.look


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one candidate does with its share. Frozen: a re-run with the same plan gives the same bits."""

    settings: list[dict[str, Any]]
    """Tried by successive halving; one: nothing to choose."""
    steps: int | None
    """Of the last rung and of the final runs; None for what takes no steps."""
    seeds: int
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Part of every setting: precision and batch of a system, sizes of a rival."""
    rung_s: tuple[float, ...] = ()
    """Predicted seconds of one run on each rung."""
    run_s: float = 0.0
    """The same of a final run."""
    final: int | None = None
    """Steps of the final runs: `steps`, or fewer where the runs before them took longer than measured. Set before the first."""
    refused: tuple[str, str] | None = None
    """(status, why) of a candidate that does not run."""


def survivors(settings: int) -> tuple[int, int, int]:
    """How many settings each rung tries: S, S/2, S/4, rounded up."""
    half = math.ceil(settings / 2)
    return settings, half, math.ceil(half / 2)


def halving(settings: list[dict[str, Any]], costs: Costs, share: float, seeds: int, looks: int) -> tuple[int, int]:
    """(how many of the settings are tried, N): as many as leave the first rung `LEAST_STEPS` steps, one at least."""
    steps = 0
    for count in range(len(settings), 0, -1):
        runs = [(0.0, 0)] if count == 1 else list(zip((1 / d for d in RUNGS), survivors(count), strict=True))
        full = sum(part * n for part, n in runs) + seeds
        number = sum(n for _, n in runs) + seeds
        left = share - number * (costs.start + looks * costs.look)
        steps = int(left / (full * costs.step))
        if tried(count, steps) == count:
            return count, steps
    return 1, steps


def tried(settings: int, steps: int) -> int:
    """How many of the settings are worth trying with N steps: all, or one where the first rung would be too short."""
    return settings if steps >= RUNGS[0] * LEAST_STEPS else 1


def shortened(steps: int, left: float, need: float) -> int:
    """Of final runs for which all that is to come needs `need` seconds, when `left` seconds are left.

    A quarter of the steps at least, as many as the setting was first tried with: a board of less would mislead.
    """
    part = left / max(need, 1e-9)
    return steps if part > TOLERANCE else max(LEAST, steps // RUNGS[0], int(steps * part))


def load(table: Mapping[str, Any]) -> Plan:
    """Of the JSON that `dataclasses.asdict` gave."""
    refused = table["refused"]
    return Plan(**{**table, "refused": tuple(refused) if refused else None, "rung_s": tuple(table["rung_s"])})
