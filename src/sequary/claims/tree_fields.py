"""Exact and measured: fields on trees by splitting at pivots are those of the whole matrix, in nearly linear time.

Random trees of each of `lengths` vertices, vertex i hanging on one of the `back` before it, so that they are long. Fields: an exponential
and a polynomial on edges of random lengths, and a random table on edges of length 1. Metric `exponent`: the slope of log time over log
length by least squares, the fields together; the baseline multiplies by the matrix f(d), d ready. `channels` columns; processor time of one
thread in float64, the median over `repeats`, all lengths in turn. Exact parts: the two agree to 1e-6 of the greatest value; the slope is at
most `near_linear`; at the greatest length the split is faster (`ratio` beside: how many times).
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping
from time import process_time
from typing import Any

import torch
from torch import Tensor

from sequary.claims.cost_exponent import exponent
from sequary.claims.exact import CPU, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.ops.tree_field import Exponential, Field, Powers, Table, integrate
from sequary.ops.trees import Plan, plan_of
from sequary.train.seeds import derive, generator

EXACT = 1e-6


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def fields(length: int, back: int, seed: int) -> list[tuple[Plan, Field]]:
    rng = random.Random(derive(seed, "tree", str(length)))
    hangs = [(rng.randrange(max(0, i - back), i), i) for i in range(1, length)]
    long = plan_of([(u, v, rng.uniform(0.5, 1.5) / back) for u, v in hangs])
    whole = plan_of([(u, v, 1.0) for u, v in hangs])
    table = torch.rand(length, generator=generator(CPU, seed, "table"), dtype=torch.float64)
    powers = torch.tensor([1.0, -0.3, 0.02], dtype=torch.float64)
    return [(long, Exponential(torch.tensor(0.3, dtype=torch.float64))), (long, Powers(powers)), (whole, Table(table))]


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s, runs = claim.settings, dict[str, list[Callable[[], Tensor]]](system=[], baseline=[])
    worst = 0.0
    for length in s["lengths"]:
        x_NC, own = normal(length, s["channels"], seed=seed), fields(length, s["back"], seed)
        apart = [plan.distances() for plan, _ in own]
        runs["system"].append(lambda o=own, x=x_NC: torch.stack([integrate(plan, f, x) for plan, f in o]))
        runs["baseline"].append(
            lambda o=own, x=x_NC, d=apart: torch.stack([f.at(a) @ x for (_, f), a in zip(o, d, strict=True)])
        )
        fast, slow = (runs[arm][-1]() for arm in ("system", "baseline"))
        worst = max(worst, float(((fast - slow).abs().amax((1, 2)) / slow.abs().amax((1, 2))).max()))
    times = {arm: seconds(some, s["repeats"]) for arm, some in runs.items()}
    slopes = {arm: exponent(s["lengths"], found) for arm, found in times.items()}
    ratio = times["baseline"][-1] / times["system"][-1]
    broken = ""
    if worst > EXACT:
        broken = f"split and whole differ by {worst:.1e} of the greatest value; {EXACT:.0e} is asked for"
    elif slopes["system"] > s["near_linear"]:
        broken = f"its time grows with the power {slopes['system']:.2f} of the length; at most {s['near_linear']}"
    elif ratio <= 1:
        broken = f"at {s['lengths'][-1]} vertices the whole matrix is {1 / ratio:.2f} times as fast"
    return Trial(seed, slopes["system"], slopes["baseline"], broken=broken, also={"error": worst, "ratio": ratio})


def seconds(runs: list[Callable[[], Tensor]], repeats: int) -> list[float]:
    """Of each: the median over `repeats`, all in turn."""
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, found in zip(runs, taken, strict=True):
            began = process_time()
            run()
            found.append(process_time() - began)
    return [statistics.median(found) for found in taken]
