"""Laws of what stands between raw data and sequence: its inverse, and what missing values may touch."""

from __future__ import annotations

import torch

from sequary.laws.case import Case, normal
from sequary.laws.law import EXACT, SEEDS, Law, equal, finite, held


def inverse(case: Case) -> float:
    """decode(encode(x)) = x, within `toy["bound"]` (relative) where one is stated."""
    worst = 0.0
    for seed in SEEDS:
        module = case.build(seed)
        (values,) = case.args(module, seed)
        back = case.call(module, values)[1]
        worst = max(worst, equal(back, values, "decode(encode(x)) against x", case.subject.toy.get("bound", EXACT)))
    return worst


def scale(case: Case) -> float:
    """The scale takes the scaled window back to its observed values; what is missing comes out 0."""
    worst = 0.0
    for seed in SEEDS:
        module = case.build(seed)
        values, observed = case.args(module, seed)
        for seen in (observed, None):
            scaled, shift, size = case.call(module, values, seen)
            at = torch.ones_like(observed) if seen is None else observed
            worst = max(
                worst,
                equal((scaled * size + shift)[at], values[at], "scaled and back", case.subject.toy.get("bound", EXACT)),
            )
            held(not scaled[~at].any(), "a missing value does not come out 0")
    return worst


def missing(case: Case) -> None:
    """What stands at a missing place changes no scale and no observed value; empty and constant channels stay finite."""
    module = case.build()
    values, observed = case.args(module, 0)
    garbage = torch.where(observed, values, 100 * normal(*values.shape, seed=3))
    (a, *scale_a), (b, *scale_b) = case.call(module, garbage, observed), case.call(module, values, observed)
    for x, y in zip((a[observed], *scale_a), (b[observed], *scale_b), strict=True):
        equal(x, y, "other values at missing places")
    none = observed.clone()
    none[0, :, 0] = False
    for name, x, seen in (
        ("nothing observed", values * none, none),
        ("a constant channel", torch.ones_like(values), observed),
    ):
        for out in case.call(module, x * seen, seen):
            finite(out, name)


def windows_alone(case: Case) -> None:
    """A window is scaled by itself: another row changes nothing."""
    module = case.build()
    values, observed = case.args(module, 0)
    other = values.clone()
    other[1] = 5 + 3 * other[1]
    for a, b in zip(case.call(module, other, observed), case.call(module, values, observed), strict=True):
        equal(a[[0, 2]], b[[0, 2]], "rows 0 and 2 when row 1 changes")


def folds(case: Case) -> None:
    """Tokens come back as [B, C, N, D] ([B, 1, N, D] where one holds all channels), each row from itself alone."""
    module = case.build()
    values, batch, ctx = case.args(module, 0)
    (out,) = case.call(module, values, batch, ctx)
    held(
        out.dim() == 4 and out.shape[0] == 3 and out.shape[1] in (1, values.shape[2]),
        f"unfolds to {tuple(out.shape)}, expected [3, {values.shape[2]}, N, D]",
    )
    other = values.clone()
    other[1] += 1
    (changed,) = case.call(module, other, batch, ctx)
    equal(changed[[0, 2]], out[[0, 2]], "rows 0 and 2 when row 1 changes")
    held(not torch.equal(changed[1], out[1]), "a changed window gives the same tokens")
    one = batch.map(lambda t: t[:1])
    equal(case.call(module, values[:1], one, ctx)[0], out[:1], "one row alone")


LAWS = (
    Law(name="inverse", contract="tokens", catches="a decoder that is not the inverse", check=inverse),
    Law(name="scale", contract="windows", catches="a scale that does not take back", check=scale),
    Law(name="missing", contract="windows", catches="a missing value that is read", check=missing),
    Law(name="rows", contract="windows", catches="statistics over other rows", check=windows_alone),
    Law(name="folds", contract="series", catches="rows and channels exchanged", check=folds),
)
