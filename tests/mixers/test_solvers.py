"""Blocks as differential equations, and loops: steps of the solvers, and turns of the loop, against plain code."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sequary.blocks.integrated import Integrated
from sequary.blocks.looped import Looped
from sequary.blocks.norms import LayerNorm
from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.ops.runge_kutta import EULER, MIDPOINT, RK4, Tableau, runge_kutta

X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
INNER = part(Parallel, parts=(part(CausalAttention, heads=2), part(MLP)))


def integrated(solver: Tableau, steps: int) -> Integrated:
    torch.manual_seed(0)
    return Integrated(8, inner=INNER, solver=solver, steps=steps, time=0.5).double()


def test_the_parallel_block_is_one_euler_step() -> None:
    torch.manual_seed(0)
    step = Integrated(8, inner=INNER, solver=EULER).double()
    block = PreNorm(8, parts=(INNER,), norm=part(LayerNorm)).double()
    moved = {
        k.replace("inner.", "parts.0.").replace("norm.norm", "norms.0.norm"): v for k, v in step.state_dict().items()
    }
    block.load_state_dict(moved)
    torch.testing.assert_close(step(X), block(X), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("solver", "order", "few"), [(EULER, 1, 32), (MIDPOINT, 2, 16), (RK4, 4, 4)])
def test_the_error_falls_with_the_step_as_the_order_says(solver: Tableau, order: int, few: int) -> None:
    exact = integrated(RK4, 256)(X)
    errors = [float((integrated(solver, steps)(X) - exact).norm().detach()) for steps in (few, 2 * few, 4 * few)]
    for coarse, fine in itertools.pairwise(errors):
        assert abs(math.log2(coarse / fine) - order) < 0.3


def test_rk4_on_a_linear_equation_is_the_taylor_series_to_h_to_the_fourth() -> None:
    x = torch.tensor(1.0, dtype=torch.float64)
    found = runge_kutta(lambda y: y, x, RK4, steps=1, time=0.5)
    assert float(found) == pytest.approx(sum(0.5**n / math.factorial(n) for n in range(5)), abs=1e-14)


def test_a_tableau_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="2 stages need rows of 0, 1, 2"):
        Tableau(((), (0.5, 0.5)), (0.0, 1.0))


def test_each_turn_of_a_loop_reads_the_input_again() -> None:
    torch.manual_seed(0)
    block = part(PreNorm, parts=(part(CausalAttention, heads=2), part(MLP)))
    loop = Looped(8, block=block, loops=3).double()
    tape = Tape("turn")
    y = loop(X, Ctx(tape=tape))
    once = loop.block(X)
    twice = loop.block(once + X)
    for found, wanted in zip(tape.entries["turn"], (once, twice, loop.block(twice + X)), strict=True):
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(y, tape.entries["turn"][-1])
