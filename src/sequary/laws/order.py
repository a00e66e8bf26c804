"""Laws of orders: one partition, the same for training and for decoding."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.core.values import Plan
from sequary.laws.case import PolicyCase, normal
from sequary.laws.law import SEEDS, Law, equal, held
from sequary.mixers.attention.causal import CausalAttention

ROWS = 2
PROGRESS = (0.0, 0.5, 1.0)


def plans(case: PolicyCase) -> list[tuple[tuple[int, ...], float, Plan]]:
    """Of every grid of `toy["grids"]` (else 4 × 4), at three points of training."""
    order = case.make()
    return [
        (grid, progress, order.plan(grid, torch.Generator().manual_seed(seed), progress))
        for grid in case.subject.toy.get("grids", ((4, 4),))
        for progress in PROGRESS
        for seed in SEEDS
    ]


def cells(plan: Plan) -> list[Tensor]:
    """[B, n] of each group, the same for all rows where the plan says one row."""
    return [g.positions.expand(ROWS, -1) if g.positions.dim() == 1 else g.positions[:ROWS] for g in plan.groups]


def partition(case: PolicyCase) -> None:
    """Groups hold each position once; a group with a grid of its own fills it."""
    for grid, progress, plan in plans(case):
        held(len(plan.groups) > 0, "a plan without groups")
        where = f"grid {grid}, progress {progress}"
        for row in torch.cat(cells(plan), 1):
            held(
                bool((row.sort().values == torch.arange(len(row))).all()),
                f"{where}: groups do not hold each position once",
            )
        for group in plan.groups:
            n = group.positions.shape[-1]
            held(n > 0, f"{where}: an empty group")
            if group.grid is not None:
                held(math.prod(group.grid) == n, f"{where}: a group of {n} positions says grid {group.grid}")
        if all(group.grid is None for group in plan.groups):
            total = sum(group.positions.shape[-1] for group in plan.groups)
            held(total == math.prod(grid), f"{where}: {total} positions in a grid of {math.prod(grid)}")


def mask(case: PolicyCase) -> None:
    """The order that a mixer gets lets a position see its own group and the earlier ones, and no other."""
    for grid, progress, plan in plans(case):
        groups = cells(plan)
        length = sum(g.shape[1] for g in groups)
        known = plan.order(ROWS, length)
        number = torch.empty(ROWS, length, dtype=torch.long)
        for i, group in enumerate(groups):
            number.scatter_(1, group, i)
        same = (known[:, None, :] <= known[:, :, None]) == (number[:, None, :] <= number[:, :, None])
        held(
            bool(same.all()),
            f"grid {grid}, progress {progress}: a position does not see exactly the groups up to its own",
        )


def agree(case: PolicyCase) -> float:
    """An attention layer says the same in training, all positions at once under the mask, and in decoding, group by group."""
    worst, attention = 0.0, CausalAttention(16, heads=2).double().eval()
    for grid, progress, plan in plans(case):
        groups = cells(plan)
        length = sum(g.shape[1] for g in groups)
        x, at = normal(ROWS, length, 16, seed=1), torch.arange(length).expand(ROWS, -1)
        with torch.no_grad():
            training = attention(x, Ctx(order=plan.order(ROWS, length), positions=at))
            state: Any = attention.init_state(ROWS)
            for i, group in enumerate(groups):
                index = group[..., None].expand(-1, -1, 16)
                ctx = Ctx(order=torch.full_like(group, i), positions=group)
                out, state = attention.step(x.gather(1, index), state, ctx)
                what = f"grid {grid}, progress {progress}: group {i} decoded against trained"
                worst = max(worst, equal(out, training.gather(1, index), what))
    return worst


def repeats(case: PolicyCase) -> None:
    """The same generator makes the same plan; torch's own is not touched."""
    before = torch.get_rng_state()
    for (_, _, a), (_, _, b) in zip(plans(case), plans(case), strict=True):
        held(
            len(a.groups) == len(b.groups) and all(torch.equal(x, y) for x, y in zip(cells(a), cells(b), strict=True)),
            "the same generator makes another plan",
        )
    held(torch.equal(before, torch.get_rng_state()), "draws from torch's global generator: use the one passed in")


LAWS = (
    Law(name="partition", contract="order", catches="a position that no group or two groups hold", check=partition),
    Law(name="mask", contract="order", catches="an order whose mask and decoding disagree", check=mask),
    Law(name="agree", contract="order", catches="an order that decodes otherwise than it trains", check=agree),
    Law(name="plan_repeats", contract="order", catches="a plan that its generator does not decide", check=repeats),
)
