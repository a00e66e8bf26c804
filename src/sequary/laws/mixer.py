"""Laws of what maps a sequence to a sequence: mixers, norms, backbones. Each declaration is tested both ways."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.laws.case import normal
from sequary.laws.law import SEEDS, Law, equal, finite, held
from sequary.laws.sequence import SequenceCase, Spot, moved, reads, rows_of, states

LONG = 70
"""Beyond every chunk that a form may cut a sequence into at these sizes."""


def lengths(case: SequenceCase) -> float:
    """Lengths 1, 2, 7, 33 (or several grids) work; a causal part says the same about a prefix alone."""
    module, worst = case.build(), 0.0
    says = case.declared()
    for spot in case.spots(1, 2, 7, 33):
        x, ctx = case.world(spot, 0)
        out = case.run(module, x, ctx)
        finite(out, f"length {spot.length}")
        if case.subject.contract != "backbone":
            held(out.shape == x.shape, f"[B, T, D] = {tuple(x.shape)} in, {tuple(out.shape)} out")
        if says.causal and case.free:
            whole = case.run(module, *_longest(case))
            prefix = case.run(module, _longest(case)[0][:, : spot.length], _longest(case)[1])
            worst = max(worst, equal(prefix, whole[:, : spot.length], f"the first {spot.length} of 33 alone"))
    if says.length is not None:
        _refuses(case, module, says.length + 1)
    return worst


def _longest(case: SequenceCase) -> tuple[Tensor, Ctx]:
    return case.world(Spot(33), 0)


def _refuses(case: SequenceCase, module: torch.nn.Module, length: int) -> None:
    try:
        case.run(module, *case.world(Spot(length), 0))
    except (ValueError, RuntimeError):
        return
    held(False, f"declares length={length - 1} but takes {length}: declare length = None, or refuse it")


def causality(case: SequenceCase) -> None:
    """causal: no output reads a later input. Not causal: one is seen to."""
    says, seen = case.declared(), False
    for seed in SEEDS:
        module = case.build(seed)
        for spot in case.spots(7):
            ahead = reads(case, module, *case.world(spot, seed)).any(0).triu(1)
            seen = seen or bool(ahead.any())
            if says.causal:
                at = ahead.nonzero()
                held(
                    not ahead.any(),
                    f"declares causal, but output {at[:1, 0].tolist()} reads input {at[:1, 1].tolist()}",
                )
    if not says.causal:
        held(seen, "declares causal = False, but no output was seen to read a later input: declare causal = True")
    elif case.free:
        _no_far_future(case)


def _no_far_future(case: SequenceCase) -> None:
    """Across the borders of chunks too."""
    module = case.build()
    x, ctx = case.world(Spot(LONG), 0, rows=1)
    base = case.run(module, x, ctx)
    for cut in (1, 16, 31, 32, 33, 64):
        other = torch.cat((x[:, :cut], normal(1, LONG - cut, case.dim, seed=cut)), 1)
        equal(
            case.run(module, other, ctx)[:, :cut],
            base[:, :cut],
            f"causal: outputs before {cut} when inputs from {cut} change",
        )


def rowwise(case: SequenceCase) -> None:
    """rowwise: a row's output does not change with another row. Not rowwise: it is seen to."""
    says, seen = case.declared(), False
    for seed in SEEDS:
        module = case.build(seed)
        x, ctx = case.world(case.spots(7)[0], seed, rows=3)
        base = case.run(module, x, ctx)
        other = x.clone()
        other[1] += normal(*x.shape[1:], seed=seed + 5)
        out = case.run(module, other, ctx)
        for row in (0, 2):
            seen = seen or moved(out[row], base[row])
            if says.rowwise:
                equal(out[row], base[row], f"declares rowwise, but row {row} changes with row 1")
                equal(
                    case.run(module, x[row : row + 1], rows_of(ctx, slice(row, row + 1)))[0],
                    base[row],
                    f"row {row} alone",
                )
    if not says.rowwise:
        held(seen, "declares rowwise = False, but no row was seen to change with another: declare rowwise = True")


def order(case: SequenceCase) -> None:
    """orders: t reads s only if order[s] <= order[t], and later tokens where it may. Not: `ctx.order` changes nothing."""
    says, ahead = case.declared(), False
    for seed in SEEDS:
        module = case.build(seed)
        x, ctx = case.world(case.spots(7)[0], seed)
        known = normal(*x.shape[:2], seed=seed + 3).argsort(1).argsort(1) // 2  # groups of two, different in each row
        ordered = dataclasses.replace(ctx, order=known)
        if not says.orders:
            equal(
                case.run(module, x, ordered),
                case.run(module, x, ctx),
                "declares orders = False, but ctx.order changes it",
            )
            continue
        read = reads(case, module, x, ordered)
        held(
            not (read & (known[:, None, :] > known[:, :, None])).any(),
            "reads a token that is not known yet by ctx.order",
        )
        ahead = ahead or bool(read.triu(1).any())
    if says.orders:
        held(ahead, "declares orders, but never reads a later token that ctx.order makes known: it is only causal")


def needs(case: SequenceCase) -> None:
    """Memory, condition and grid are read exactly where declared; masked memory is not."""
    says, module = case.declared(), case.build()
    spot = case.spots(7)[0]
    x, ctx = case.world(spot, 0)
    base = case.run(module, x, ctx)
    if ctx.memory is not None:
        tokens, mask = ctx.memory.tokens, torch.tensor([[True, True, True, False, False]]).expand(x.shape[0], -1)
        other = dataclasses.replace(ctx.memory, tokens=tokens + 1)
        held(moved(case.run(module, x, dataclasses.replace(ctx, memory=other)), base), "memory changes nothing")
        cut = dataclasses.replace(ctx, memory=dataclasses.replace(ctx.memory, tokens=tokens[:, :3]))
        masked = dataclasses.replace(ctx, memory=dataclasses.replace(ctx.memory, mask=mask))
        equal(case.run(module, x, masked), case.run(module, x, cut), "masked memory against none")
    if ctx.cond is not None:
        other = dataclasses.replace(ctx, cond=normal(*ctx.cond.shape, seed=8))
        held(moved(case.run(module, x, other), base), "declares conditioned, but the condition changes nothing")
        long = dataclasses.replace(ctx, cond=ctx.cond[:, None].expand(-1, spot.length, -1))
        equal(case.run(module, x, long), base, "a condition for each token against the same for the row")
    elif case.subject.contract != "backbone":
        other = dataclasses.replace(ctx, cond=normal(x.shape[0], case.dim, seed=8))
        equal(case.run(module, x, other), base, "declares conditioned = False, but a condition changes it")
    if says.dims:
        _reads_grid(case, module)


def _reads_grid(case: SequenceCase, module: torch.nn.Module) -> None:
    spot = next((s for s in case.spots() if s.grid is not None and len(set(s.grid)) > 1), None)
    if spot is None or spot.grid is None:
        return
    x, ctx = case.world(spot, 0)
    turned = dataclasses.replace(ctx, grid=spot.grid[::-1])
    if turned.grid != ctx.grid:
        held(
            moved(case.run(module, x, turned), case.run(module, x, ctx)),
            f"declares dims, but {spot.grid} turned changes nothing",
        )


def positional(case: SequenceCase) -> bool:
    return case.positional


LAWS = (
    Law(name="lengths", contract="sequence", catches="a hard-wired length", check=lengths),
    Law(
        name="causality",
        contract="sequence",
        catches="a future leak; a denial that is not true",
        check=causality,
        applies=positional,
    ),
    Law(name="rowwise", contract="sequence", catches="a batch leak", check=rowwise),
    Law(
        name="order",
        contract="sequence",
        catches="an order that is not respected",
        check=order,
        applies=states("orders"),
    ),
    Law(name="needs", contract="sequence", catches="memory, condition or grid ignored or read unsaid", check=needs),
)
