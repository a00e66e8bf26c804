"""Attention alone collapses, skips prevent it, and a stack is the sum of its paths."""

from __future__ import annotations

import pytest
import torch

from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.probe.paths import Paths
from sequary.probe.rank_collapse import RankCollapse, composite, residual


def host(name: str, seed: int, **changes: object) -> tuple[Model, Recipe]:
    recipe = load(name).recipe
    assert recipe is not None
    recipe = recipe.but(**changes)
    torch.manual_seed(seed)
    return recipe.build().double().eval(), recipe


def tokens(seed: int = 0) -> Batch:
    return Batch(values=torch.randint(0, 64, (4, 16), generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_attention_alone_falls_ever_faster_and_skips_hold(seed: int) -> None:
    alone, _ = host("attention-rank-collapse", seed)
    fall = RankCollapse()(alone, [tokens()]).tensors["relative"].log10()
    steps = -fall.diff()[:3]  # about 1, 4 and 10 decades; then float64 ends
    assert bool((steps.diff() > 0).all()), f"decades lost a layer: {steps.tolist()}"
    held, _ = host("attention-rank-collapse-skips", seed, model__backbone__depth=12)
    assert float(RankCollapse()(held, [tokens()]).tensors["relative"][-1]) > 10**-1.5


def test_equal_rows_have_no_residual() -> None:
    row = torch.randn(2, 1, 5, dtype=torch.double)
    assert float(composite(residual(row.expand(2, 7, 5))).max()) < 1e-14


def test_the_paths_sum_to_the_forward_pass() -> None:
    model, _ = host("attention-rank-collapse-skips", 0, model__backbone__blocks__0__parts__0__heads=2)
    reading = Paths()(model, [tokens()])
    assert reading.numbers["paths"] == 3**3
    total = torch.stack(list(reading.tensors.values())).sum(0)
    assert torch.allclose(total, model(tokens()).hidden, atol=1e-12)


def test_a_stack_that_is_more_than_attention_is_refused() -> None:
    model, _ = host("attention-rank-collapse", 0)
    with pytest.raises(TypeError, match="paths need blocks"):
        Paths()(model, [tokens()])
