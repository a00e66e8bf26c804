"""Laws of padding and packing: what stands beside a sequence in its row does not reach it."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.laws.case import normal
from sequary.laws.law import EXACT, SEEDS, Law, distance, finite, held
from sequary.laws.sequence import SequenceCase, Spot, rows_of, states


def padding(case: SequenceCase) -> float:
    """pads: with padding left or right of them, real tokens come out as they do alone. Not: they are seen to change."""
    says = case.declared()
    errors = [error for seed in SEEDS for error in _padded(case, seed)]
    if says.pads:
        return _no_more(errors, "declares pads, but padding leaks")
    held(max(errors)[0] > EXACT, "declares pads = False, but padding was not seen to leak: declare pads = True")
    return 0.0


def _no_more(errors: list[tuple[float, str]], what: str) -> float:
    worst, where = max(errors)
    held(worst <= EXACT, f"{what}: {where}, by {worst:.3g}")
    return worst


def _padded(case: SequenceCase, seed: int) -> list[tuple[float, str]]:
    """Differences at real tokens, and where."""
    module, found = case.build(seed), list[tuple[float, str]]()
    if not case.free:
        for spot in case.spots():
            x, ctx = case.world(spot, seed)
            ctx = dataclasses.replace(ctx, mask=normal(*x.shape[:2], seed=seed + 3) < 0.5)
            found.append((_garbage(case, module, x, ctx), f"values behind the mask, {spot}"))
        return found
    for length, real in ((7, 4), (40, 21)) if seed == 0 else ((7, 4),):
        for side, keep in (("right", slice(0, real)), ("left", slice(length - real, length))):
            x, ctx = case.world(Spot(length), seed)
            mask = torch.ones(x.shape[:2], dtype=torch.bool)
            mask[1] = False
            mask[1, keep] = True
            alone = [
                case.run(module, x[:1], rows_of(ctx, slice(0, 1))),
                case.run(module, x[1:, keep], rows_of(ctx, slice(1, 2))),
            ]
            x = torch.where(mask[..., None], x, 10 * x)
            out = case.run(module, x, dataclasses.replace(ctx, mask=mask))
            finite(out, "padding makes outputs that are not finite")
            found += [
                (distance(out[:1], alone[0]), "a row without padding beside one with"),
                (distance(out[1:, keep], alone[1]), f"{length - real} tokens of padding on the {side}"),
            ]
    return found


def _garbage(case: SequenceCase, module: torch.nn.Module, x: Tensor, ctx: Ctx) -> float:
    assert ctx.mask is not None
    other = torch.where(ctx.mask[..., None], x, 10 * normal(*x.shape, seed=9))
    a, b = case.run(module, x, ctx), case.run(module, other, ctx)
    finite(b, "padding makes outputs that are not finite")
    return distance(torch.where(ctx.mask[..., None], b, 0), torch.where(ctx.mask[..., None], a, 0))


def packing(case: SequenceCase) -> float:
    """packs: two sequences in one row come out as they do in rows of their own. Not: they are seen to mix."""
    says = case.declared()
    errors = [error for seed in SEEDS for error in _packed(case, seed)]
    if says.packs:
        return _no_more(errors, "declares packs, but packed sequences mix")
    held(
        max(errors)[0] > EXACT,
        "declares packs = False, but packed sequences were not seen to mix: declare packs = True",
    )
    return 0.0


def _packed(case: SequenceCase, seed: int) -> list[tuple[float, str]]:
    module, found = case.build(seed), list[tuple[float, str]]()
    spots = case.spots(7, 40) if seed == 0 else case.spots(7)
    for spot in spots:
        x, ctx = case.world(spot, seed)
        cut = spot.length // 2 + 1
        packed = dataclasses.replace(ctx, segments=(torch.arange(spot.length) >= cut).long().expand(x.shape[0], -1) + 1)
        out = case.run(module, x, packed)
        for part in (slice(0, cut), slice(cut, None)):
            if case.free:
                alone = case.run(module, x[:, part], ctx)
            else:
                other = normal(*x.shape, seed=9)
                other[:, part] = x[:, part]
                alone = case.run(module, other, packed)[:, part]
            found.append((distance(out[:, part], alone), f"tokens {part.start}..{part.stop} of {spot.length}"))
    return found


LAWS = (
    Law(
        name="padding",
        contract="sequence",
        catches="padding ignored on the left or right",
        check=padding,
        applies=states("pads"),
    ),
    Law(
        name="packing",
        contract="sequence",
        catches="packed rows that see each other",
        check=packing,
        applies=states("packs"),
    ),
)
