"""What is found out about a candidate before its share is planned: size, memory, latency, and what a step costs."""

from __future__ import annotations

import dataclasses
from time import perf_counter
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.footprint import Footprint
from sequary.compare.machine import free_mb
from sequary.compare.task import Task

STEPS = 20
STEPS_S = 4.0
"""Seconds that these steps may take, roughly; slow ones are timed by fewer."""
WARM = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a user allows; None: anything."""

    params: int | None = None
    latency_ms: float | None = None

    def against(self, params: int, latency_ms: float) -> tuple[str, str] | None:
        """(status, why) of a candidate beyond a limit."""
        if self.params is not None and params > self.params:
            return "over parameters", f"{params:,} parameters, --max-params is {self.params:,}"
        if self.latency_ms is not None and latency_ms > self.latency_ms:
            return "too slow", f"it takes {latency_ms:.3g} ms to answer, --max-latency is {self.latency_ms:g} ms"
        return None


def measured(task: Task, entrant: Any, ask: Ask, limits: Limits) -> dict[str, Any]:
    """`refused`, or what `plan` needs: start, step and look in seconds, latency, and what is fixed for every run."""
    if not entrant.trained:
        found = task.rival_costs(entrant, ask)
        refused = limits.against(0, found["latency_ms"])
        return {"refused": refused} if refused else found
    sized = [(s, task.footprint(entrant, ask.but(setting=s, steps=WARM, evaluations=1))) for s in entrant.settings()]
    refusals = [_refused(size, limits) for _, size in sized]
    allowed = [pair for pair, refused in zip(sized, refusals, strict=True) if refused is None]
    if not allowed:
        return {"refused": refusals[0]}
    ask = ask.but(setting=allowed[0][0], steps=WARM, evaluations=1)
    first = task.run(entrant, "choice", ask)  # warms up; its time does not count
    params = allowed[0][1].params
    refused = limits.against(params, first.latency_ms)
    if refused is not None:
        return {"refused": refused}
    need = max(size.memory_mb for _, size in allowed)
    found = {
        "memory_need_mb": need,
        "params": params,
        "latency_ms": first.latency_ms,
        "settings": [s for s, _ in allowed],
    }
    return {**found, "fixed": first.fixed, **_costs(task, entrant, ask.but(setting={**ask.setting, **first.fixed}))}


def _refused(size: Footprint, limits: Limits) -> tuple[str, str] | None:
    """(status, why) of a setting that may not run."""
    too_large = size.too_large(free_mb())
    return ("too large", too_large) if too_large is not None else limits.against(size.params, 0.0)


def _costs(task: Task, entrant: Any, ask: Ask) -> dict[str, float]:
    """From three short runs: few steps; 20 more; few again, with a look at the validation part after each."""
    began = perf_counter()
    few = task.run(entrant, "choice", ask)
    start = perf_counter() - began - few.train_s
    more = max(WARM, min(STEPS, int(STEPS_S * WARM / max(few.train_s, 1e-9))))
    many = task.run(entrant, "choice", ask.but(steps=WARM + more))
    often = task.run(entrant, "choice", ask.but(steps=2 * WARM, evaluations=2 * WARM))
    step = max((many.train_s - few.train_s) / more, many.train_s / (WARM + more) / 10, 1e-6)
    look = max((often.train_s - few.train_s - WARM * step) / (2 * WARM - 1), 1e-6)
    return {"start": start, "step": step, "look": look}
