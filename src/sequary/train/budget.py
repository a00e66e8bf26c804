"""What is chosen by a short measurement before a run: the precision, and how many steps a budget allows."""

from __future__ import annotations

import copy
import dataclasses
import statistics
from collections.abc import Sequence
from time import perf_counter

import torch

from sequary.core.contracts import Model
from sequary.core.recipe import Stage
from sequary.ops import forms
from sequary.train.diverged import Diverged
from sequary.train.evaluation import evaluate
from sequary.train.hooks import Hook
from sequary.train.learning import learning
from sequary.train.manifest import Chosen
from sequary.train.run import Run
from sequary.train.seeds import forked
from sequary.train.source import Source

STEPS = 20
"""Timed in each precision, after two that are not."""
GAIN = 0.9
"""bfloat16 is chosen if a step takes less than this part of the time in full precision."""
LARGE = 2**16
"""Entries of a matrix below which bfloat16 does not pay (dim 128: slower; 512: 1.9 times as fast on two cores)."""


def choose(
    model: Model,
    stage: Stage,
    source: Source,
    validation: Source | None = None,
    *,
    seed: int,
    hooks: Sequence[Hook] = (),
    seconds: float | None = None,
) -> Chosen:
    """Measured on copies: the model, its hooks and torch's generator stay as they are.

    `seconds`: the wall time of the run, this measurement included; None: the steps of the stage.
    """
    began = perf_counter()
    batch = min(stage.train.batch, len(source))
    full = Chosen(precision="full", steps=stage.train.steps, batch=batch, form=forms.chosen(""))
    half = dataclasses.replace(full, precision="bfloat16")
    tried = [full, half] if _has_large_product(model) else [full]
    if len(tried) == 1 and seconds is None:
        return full
    limit = 3.0 if seconds is None else 0.1 * seconds
    measured = {c.precision: _seconds_per_step(model, stage, source, c, seed, hooks, limit) for c in tried}
    best = half if measured.get("bfloat16", float("inf")) < GAIN * measured["full"] else full
    steps = stage.train.steps
    if seconds is not None:
        per_step = measured[best.precision]
        if validation is not None:
            measured["evaluation"] = _seconds_per_evaluation(model, stage, validation, batch, seed)
            per_step += measured["evaluation"] / stage.train.evaluate_every
        steps = steps_for(seconds - (perf_counter() - began), per_step)
    return dataclasses.replace(best, steps=steps, measured=measured)


def steps_for(seconds: float, per_step: float) -> int:
    """Steps that fit into `seconds`; at least one."""
    return max(1, int(seconds / per_step))


def _has_large_product(model: Model) -> bool:
    return any(p.dim() > 1 and p.numel() >= LARGE and p.dtype == torch.float32 for p in model.parameters())


def _seconds_per_step(
    model: Model, stage: Stage, source: Source, chosen: Chosen, seed: int, hooks: Sequence[Hook], limit: float
) -> float:
    """Median of up to 20 steps, fewer where `limit` seconds end before; infinite where this precision gives a NaN."""
    model, hooks = copy.deepcopy((model, tuple(hooks)))
    device = next(model.parameters()).device
    with forked(device), learning(model, stage.learns):
        run = Run(model, stage, source, seed=seed, device=device, hooks=hooks, chosen=chosen)
        times: list[float] = []
        until = perf_counter() + limit
        while len(times) < STEPS + 2 and (len(times) < 3 or perf_counter() < until):
            began = perf_counter()
            run.advance()
            try:
                run.settle()  # reads the loss, and so waits for the device
            except Diverged:
                if chosen.precision == "full":
                    raise
                return float("inf")
            times.append(perf_counter() - began)
    return statistics.median(times[2:])


def _seconds_per_evaluation(model: Model, stage: Stage, validation: Source, batch: int, seed: int) -> float:
    """Of the first batches, scaled up to all."""
    part = _First(validation, min(len(validation), 4 * batch))
    began = perf_counter()
    evaluate(model, stage.objective, part, batch=batch, seed=seed)
    return (perf_counter() - began) * len(validation) / len(part)


class _First:
    def __init__(self, source: Source, rows: int) -> None:
        self.batch, self.rows = source.batch, rows

    def __len__(self) -> int:
        return self.rows
