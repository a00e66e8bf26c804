"""Laws of the recurrent form of mixers and backbones: it equals forward, and its state is a value."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.state import State
from sequary.laws.case import each, normal
from sequary.laws.law import EXACT, SEEDS, Law, equal, held
from sequary.laws.sequence import SequenceCase, Spot, advance, between, in_steps, rows_of, start

SPLITS = ((1,) * 7, (7,), (3, 4), (1, 4, 2), (2, 1, 1, 3))
LONG_SPLITS = ((40,), (33, 7), (1,) * 40, (16, 16, 8), (5, 30, 5))


def steps(case: SequenceCase) -> float:
    """Token by token and by chunks of any split, outputs equal those of forward."""
    worst = 0.0
    for seed in SEEDS:
        module = case.build(seed)
        for spot in case.spots(7, 40) if seed == 0 else case.spots(7):
            x, ctx = case.world(spot, seed)
            whole = case.run(module, x, ctx)
            for split in splits(spot.length):
                worst = max(
                    worst, equal(in_steps(module, x, ctx, split), whole, f"steps of {short(split)} against forward")
                )
    return worst


def splits(length: int) -> tuple[tuple[int, ...], ...]:
    if length == 7:
        return SPLITS
    return LONG_SPLITS if length == 40 else ((length,), (1,) * length, (length // 2, length - length // 2))


def short(split: tuple[int, ...]) -> str:
    return f"1 × {len(split)}" if set(split) == {1} and len(split) > 3 else "+".join(map(str, split))


def padded_steps(case: SequenceCase) -> float:
    """The same with padding on the left of one row: the mask comes in pieces."""
    worst = 0.0
    for seed in SEEDS:
        module = case.build(seed)
        x, ctx = case.world(Spot(7), seed)
        mask = torch.ones(x.shape[:2], dtype=torch.bool)
        mask[1, :3] = False
        ctx = dataclasses.replace(ctx, mask=mask)
        alone = case.run(module, x[1:, 3:], rows_of(dataclasses.replace(ctx, mask=None), slice(1, 2)))
        whole = case.run(module, x[:1], rows_of(dataclasses.replace(ctx, mask=None), slice(0, 1)))
        for split in SPLITS:
            out = in_steps(module, x, ctx, split)
            worst = max(worst, equal(out[:1], whole, f"steps of {short(split)}, the row without padding"))
            worst = max(worst, equal(out[1:, 3:], alone, f"steps of {short(split)} after padding on the left"))
    return worst


def ordered_steps(case: SequenceCase) -> float:
    """By groups of an order, laid out as they become known: equals forward under the same `ctx.order`."""
    worst = 0.0
    for seed in SEEDS:
        module = case.build(seed)
        x, ctx = case.world(Spot(7), seed)
        known = torch.tensor([0, 0, 1, 1, 1, 2, 3]).expand(x.shape[0], -1)
        ctx = dataclasses.replace(ctx, order=known)
        out = in_steps(module, x, ctx, (2, 3, 1, 1))
        worst = max(worst, equal(out, case.run(module, x, ctx), "steps by groups against forward"))
    return worst


def select(case: SequenceCase) -> float:
    """Rows picked, repeated and reordered go on as if they had been there from the start."""
    rows, worst = torch.tensor([2, 0, 0]), 0.0
    for seed in SEEDS:
        module = case.build(seed)
        x, ctx = case.world(Spot(7), seed, rows=3)
        _, state = advance(module, x[:, :4], start(module, 3, ctx), between(ctx, 0, 4))
        tail = normal(3, 3, case.dim, seed=seed + 5)
        picked = each(ctx, lambda t: t[rows])
        out, _ = advance(module, tail, state.select(rows), between(picked, 4, 7))
        whole = case.run(module, torch.cat((x[rows, :4], tail), 1), picked)[:, 4:]
        worst = max(worst, equal(out, whole, f"after select({rows.tolist()})"))
    return worst


def rewind(case: SequenceCase) -> float:
    """Where the state can go back, what follows is as if the rest had never been."""
    worst = 0.0
    for seed in SEEDS:
        module = case.build(seed)
        x, ctx = case.world(Spot(7), seed)
        _, state = advance(module, x[:, :5], start(module, 2, ctx), between(ctx, 0, 5))
        try:
            back = state.rewind(3)
        except NotImplementedError:
            return 0.0  # a compressed state says that it cannot
        tail = normal(2, 4, case.dim, seed=seed + 5)
        out, _ = advance(module, tail, back, between(ctx, 3, 7))
        worst = max(worst, equal(out, case.run(module, torch.cat((x[:, :3], tail), 1), ctx)[:, 3:], "after rewind(3)"))
    return worst


def grows(case: SequenceCase) -> None:
    """grows: the state takes more bytes the longer the sequence. Not: after the first tokens it takes no more."""
    module = case.build()
    x, ctx = case.world(Spot(64), 0, rows=1)
    state, sizes = start(module, 1, ctx), list[int]()
    for t in range(64):
        _, state = advance(module, x[:, t : t + 1], state, between(ctx, t, t + 1))
        sizes.append(state.bytes())
    early, late = max(sizes[16:32]), max(sizes[48:64])
    if case.declared().grows:
        held(late > early, f"declares grows, but the state takes {early} bytes after 32 tokens and {late} after 64")
    else:
        held(
            late == early, f"declares grows = False, but the state takes {early} bytes after 32 tokens, {late} after 64"
        )


def old_state(case: SequenceCase) -> None:
    """A step changes nothing in the state that it was given: a second step from it gives the same."""
    for seed in SEEDS:
        module = case.build(seed)
        x, ctx = case.world(Spot(7), seed)
        _, state = advance(module, x[:, :4], start(module, 2, ctx), between(ctx, 0, 4))
        kept = snapshot(state)
        first, after = advance(module, x[:, 4:5], state, between(ctx, 4, 5))
        again, _ = advance(module, x[:, 4:5], state, between(ctx, 4, 5))
        held(
            all(torch.equal(a, b) for a, b in zip(kept, snapshot(state), strict=True)),
            "a step changes the state that it was given",
        )
        equal(again, first, "a second step from the same state", EXACT)
        held(type(after) is type(state), f"a step turns {type(state).__name__} into {type(after).__name__}")


def snapshot(state: State) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    state.map(lambda t: (found.append(t.clone()), t)[1])
    return found


def state_dtype(case: SequenceCase) -> None:
    """The first state and each later one are in the dtype of the parameters."""
    for kind in (torch.float32, torch.float64):
        module = case.build(0, kind)
        x, ctx = case.world(case.spots(7)[0], 0, dtype=kind)
        state = start(module, 2, ctx)
        for t in range(2):
            y, state = advance(module, x[:, t : t + 1], state, between(ctx, t, t + 1))
            held(y.dtype == kind, f"step: {kind} in, {y.dtype} out")


def recurrent(case: SequenceCase) -> bool:
    return case.declared().recurrent and case.positional


def free(case: SequenceCase) -> bool:
    return recurrent(case) and case.free


def pads(case: SequenceCase) -> bool:
    return free(case) and bool(case.declared().pads)


def orders(case: SequenceCase) -> bool:
    return free(case) and bool(case.declared().orders)


LAWS = (
    Law(name="steps", contract="sequence", catches="a forgotten state", check=steps, applies=recurrent),
    Law(
        name="padded_steps",
        contract="sequence",
        catches="padding that enters the state",
        check=padded_steps,
        applies=pads,
    ),
    Law(
        name="ordered_steps",
        contract="sequence",
        catches="groups that step otherwise than they train",
        check=ordered_steps,
        applies=orders,
    ),
    Law(name="select", contract="sequence", catches="a state that forgets which row it is", check=select, applies=free),
    Law(name="rewind", contract="sequence", catches="a cache that is not cut", check=rewind, applies=free),
    Law(name="grows", contract="sequence", catches="a state that grows unsaid", check=grows, applies=free),
    Law(name="old_state", contract="sequence", catches="a state changed in place", check=old_state, applies=free),
    Law(
        name="state_dtype",
        contract="sequence",
        catches="a state of a fixed dtype",
        check=state_dtype,
        applies=recurrent,
    ),
)
