"""Fields on trees against sums over paths, plans that count each pair once, spanning trees, and the mask of topological attention."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.linear.kernel import KernelAttention
from sequary.mixers.linear.topological import TopologicalAttention
from sequary.ops.forms import form
from sequary.ops.tree_field import Exponential, Field, Powers, Table, integrate, on_grid
from sequary.ops.trees import Edge, grid_plan, plan_of, spanning_tree


def tree(count: int, seed: int, *, back: int, whole: bool) -> list[Edge]:
    rng = random.Random(seed)
    shuffled = rng.sample(range(count), count)
    return [
        (shuffled[rng.randrange(max(0, i - back), i)], shuffled[i], 1.0 if whole else rng.uniform(0.1, 1))
        for i in range(1, count)
    ]


def paths(count: int, edges: list[Edge]) -> Tensor:
    """Shortest paths by Floyd and Warshall."""
    d = torch.full((count, count), float("inf"), dtype=torch.float64).fill_diagonal_(0)
    for u, v, weight in edges:
        d[u, v] = d[v, u] = weight
    for k in range(count):
        d = torch.minimum(d, d[:, k, None] + d[None, k])
    return d


def field(kind: str, size: int) -> Field:
    rng = torch.Generator().manual_seed(size)
    if kind == "exponential":
        return Exponential(torch.tensor(0.4, dtype=torch.float64))
    if kind == "powers":
        return Powers(torch.randn(4, generator=rng, dtype=torch.float64))
    return Table(torch.randn(size, generator=rng, dtype=torch.float64))


@pytest.mark.parametrize("kind", ["exponential", "powers", "table"])
@pytest.mark.parametrize(
    ("count", "back", "leaf"), [(1, 1, 3), (2, 1, 3), (9, 1, 3), (40, 40, 3), (150, 3, 8), (150, 1, 24)]
)
def test_is_the_sum_over_all_paths(kind: str, count: int, back: int, leaf: int) -> None:
    edges = tree(count, count + back, back=back, whole=kind == "table")
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f = field(kind, count)
    plan = plan_of(edges, leaf)
    wanted = f.at(paths(count, edges)) @ x
    torch.testing.assert_close(integrate(plan, f, x), wanted)
    with form("reference"):
        torch.testing.assert_close(integrate(plan, f, x), wanted)


def test_a_large_hankel_matrix_goes_by_fft() -> None:
    """A path of 600: its halves are 300 long."""
    table = Table(torch.randn(600, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    x = torch.randn(250, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    at = torch.arange(300)[:, None] + torch.arange(250)
    torch.testing.assert_close(table.hankel(300, x), table.values[at] @ x)


def test_halves_are_balanced() -> None:
    plan = plan_of(tree(1000, 5, back=4, whole=True))
    sizes = [sorted((len(s.left), len(s.right))) for s in plan.splits]
    assert min(small / (small + large) for small, large in sizes if small + large > 50) > 0.25


def test_spanning_tree_is_the_lightest_of_all() -> None:
    rng = random.Random(3)
    edges = [(u, v, rng.random()) for u, v in itertools.combinations(range(5), 2)]
    trees = [t for t in itertools.combinations(edges, 4) if torch.isfinite(paths(5, list(t))).all()]
    weights = [sum(weight for _, _, weight in t) for t in trees]
    assert sum(weight for _, _, weight in spanning_tree(5, edges)) == pytest.approx(min(weights))
    with pytest.raises(ValueError, match="4 vertices with 2 parts"):
        spanning_tree(4, [(0, 1, 1.0), (2, 3, 1.0)])


def test_cells_of_a_grid_are_joined_by_rows_and_these_by_their_first_cells() -> None:
    d = grid_plan((3, 4)).distances().reshape(3, 4, 3, 4)
    assert float(d[0, 1, 0, 3]) == 2
    assert float(d[0, 2, 2, 3]) == 2 + 2 + 3


def test_the_operator_on_a_grid_has_the_derivatives_of_the_whole_matrix() -> None:
    rng, found = torch.Generator().manual_seed(4), list[tuple[Tensor, ...]]()
    values, x = (torch.randn(n, generator=rng, dtype=torch.float64) for n in ((63,), (63, 2)))
    for name in ("split", "reference"):
        leaves = [t.clone().requires_grad_() for t in (values, x)]
        with form(name):
            y = on_grid((7, 9), *leaves)
        found.append((y, *torch.autograd.grad(y.square().sum(), leaves)))
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow)


def test_a_tree_kept_from_inference_serves_learning() -> None:
    grid_plan.cache_clear()
    values, x = torch.randn(20, requires_grad=True), torch.randn(30, 3, requires_grad=True)
    with torch.inference_mode():
        on_grid((5, 6), values, x)
    on_grid((5, 6), values, x).sum().backward()
    assert values.grad is not None


def test_a_mask_that_does_not_fade_is_linear_attention() -> None:
    torch.manual_seed(0)
    masked, plain = TopologicalAttention(8, heads=2).double(), KernelAttention(8, heads=2).double()
    plain.load_state_dict({k: v for k, v in masked.state_dict().items() if k != "fade"})
    x, ctx = torch.randn(2, 12, 8, dtype=torch.float64), Ctx(grid=(3, 4))
    near = masked(x, ctx)
    assert not torch.allclose(near, plain(x))
    with torch.no_grad():
        masked.fade.zero_()
    torch.testing.assert_close(masked(x, ctx), plain(x))


def test_both_ways_to_the_mask_agree() -> None:
    """An order that lets all see all takes the whole matrix."""
    torch.manual_seed(1)
    masked = TopologicalAttention(8, heads=2).double()
    x = torch.randn(2, 56, 8, dtype=torch.float64)
    whole = masked(x, Ctx(grid=(7, 8), order=torch.zeros(2, 56, dtype=torch.long)))
    torch.testing.assert_close(masked(x, Ctx(grid=(7, 8))), whole)
