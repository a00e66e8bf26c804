"""Laws of noises: the path from data to noise ends where it says."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.laws.case import PolicyCase, normal
from sequary.laws.law import SEEDS, Law, equal, finite, held

LEFT = 0.02
"""Share of the data that may be left at t = 1: schedules of diffusion end near noise, not at it."""


def data(case: PolicyCase, seed: int) -> Tensor:
    """[4, 12, 3] reals, or `toy["values"](seed)`."""
    make = case.subject.toy.get("values")
    return normal(4, 12, 3, seed=seed) if make is None else make(seed)


def ends(case: PolicyCase) -> float:
    """At t = 0 the data itself; at t = 1 nothing of it (at most 2 %)."""
    noise, worst = case.make(), 0.0
    for seed in SEEDS:
        x, other = data(case, seed), data(case, seed + 10)
        still = noise.corrupt(x, torch.zeros(len(x)), torch.Generator().manual_seed(seed + 100))[0]
        worst = max(worst, equal(still.double(), x.double(), "corrupt(x, t = 0) against x", 1e-6))
        gone, also = (
            noise.corrupt(v, torch.ones(len(x)), torch.Generator().manual_seed(seed + 100))[0] for v in (x, other)
        )
        finite(gone.double(), "corrupt(x, t = 1)")
        equal(gone.double(), also.double(), "two data under the same noise at t = 1", LEFT)
    return worst


def rows(case: PolicyCase) -> None:
    """Each row goes its own way along t: a row at t = 0 stays, beside one at t = 1."""
    noise = case.make()
    x = data(case, 0)
    t = torch.zeros(len(x))
    t[1] = 1
    moved = noise.corrupt(x, t, torch.Generator().manual_seed(100))[0]
    equal(moved[0].double(), x[0].double(), "a row at t = 0 beside one at t = 1", 1e-6)
    held(not torch.equal(moved[1], x[1]), "a row at t = 1 is still the data")


def steps(case: PolicyCase) -> None:
    """n + 1 times, falling from 1 to 0."""
    for n in (1, 4, 10):
        times = case.make().steps(n)
        held(tuple(times.shape) == (n + 1,), f"steps({n}) gives {tuple(times.shape)}, expected {n + 1} times")
        held(
            abs(float(times[0]) - 1) < 1e-6 and abs(float(times[-1])) < 1e-6,
            f"steps({n}) goes from {times[0]:.3g} to {times[-1]:.3g}",
        )
        held(bool((times.diff() < 0).all()), f"steps({n}) does not fall: {times.tolist()}")


def repeats(case: PolicyCase) -> None:
    """The same generator makes the same noise; torch's own is not touched, and neither is the data."""
    x, before = data(case, 0), torch.get_rng_state()
    t = torch.linspace(0.2, 0.8, len(x))
    kept = x.clone()
    first, again = (case.make().corrupt(x, t, torch.Generator().manual_seed(104)) for _ in range(2))
    held(torch.equal(first[0], again[0]) and torch.equal(first[1], again[1]), "the same generator makes another noise")
    held(torch.equal(before, torch.get_rng_state()), "draws from torch's global generator: use the one passed in")
    held(torch.equal(x, kept), "changes the data in place")


LAWS = (
    Law(name="ends", contract="noise", catches="a path that ends elsewhere", check=ends),
    Law(name="noise_rows", contract="noise", catches="one time for all rows", check=rows),
    Law(name="times", contract="noise", catches="a schedule that skips an end", check=steps),
    Law(name="noise_repeats", contract="noise", catches="noise that its generator does not decide", check=repeats),
)
