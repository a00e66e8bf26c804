"""Exact: tiles that a tiled kernel visits for strided neighbourhoods, against sliding ones of as many keys.

Settings: a grid of `side`², `kernel` and `tile` on both axes, `dim`, `heads`, `shapes` (random cases a seed), `tolerance`. Metric
`tiles_visited`: pairs of tiles by the simulator, for a stride of one tile (system) and of one cell (baseline). Exact parts: for random
grids of one to three axes, kernels, strides, dilations and causal axes, the grouped output is that of attention under the
mask that the definition gives, and the simulator counts the tiles of that mask; strides of 1 and of the kernel are
neighbourhood and window attention. Noted beside: processor seconds of a forward pass of both, and the share of tiles visited.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.claims.shared_keys import seconds
from sequary.core.card import Claim
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.generalised_neighbourhood import GeneralisedNeighbourhoodAttention
from sequary.mixers.attention.neighbourhood import NeighbourhoodAttention
from sequary.mixers.attention.window import WindowAttention
from sequary.ops.attend import attend
from sequary.ops.groups import attend_groups
from sequary.ops.neighbourhood_groups import Neighbourhood, neighbourhood_groups
from sequary.ops.neighbourhood_tiles import all_pairs, visits


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    rng = random.Random(seed)
    broken = next((fault for _ in range(s["shapes"]) if (fault := wrong(rng, s["tolerance"]))), "")
    off = limit_error(s, seed)
    if not broken and off > s["tolerance"]:
        broken = f"a stride of 1 or of the kernel is {off:.1e} from its limit; {s['tolerance']:.0e} is asked for"
    grid, tiles = (s["side"],) * 2, ((s["tile"],) * 2,) * 2
    mixers = [built(s, s["kernel"], stride).eval() for stride in (s["tile"], 1)]
    counts = [visits(grid, mixer.near, tiles) for mixer in mixers]
    x_BTD = normal(1, math.prod(grid), s["dim"], seed=seed).float()
    took = seconds([lambda m=m: m(x_BTD, Ctx(grid=grid)) for m in mixers], repeats=1)
    also = {"limit_error": off, "seconds": took[0], "seconds_sliding": took[1]}
    also["share"] = counts[0] / all_pairs(grid, tiles)
    return Trial(seed, float(counts[0]), float(counts[1]), broken=broken, also=also)


def built(settings: Mapping[str, Any], kernel: int, stride: int) -> GeneralisedNeighbourhoodAttention:
    return GeneralisedNeighbourhoodAttention(
        settings["dim"], heads=settings["heads"], kernel=(kernel,) * 2, stride=(stride,) * 2
    )


def defined(near: Neighbourhood, query: int, length: int) -> set[int]:
    """The keys of one query of one axis, from the definition."""
    rest, place = query % near.dilation, query // near.dilation
    members = len(range(rest, length, near.dilation))
    first = place // near.stride * near.stride
    if near.causal:
        start = min(first + near.stride - 1, members - 1) - near.kernel + 1
        seen = range(max(start, 0), place + 1)
    else:
        leader = min(first + near.stride // 2, members - 1)
        start = max(0, min(leader - near.kernel // 2, members - near.kernel))
        seen = range(start, min(start + near.kernel, members))
    return {rest + near.dilation * key for key in seen}


def wrong(rng: random.Random, tolerance: float) -> str:
    """What one random case broke; empty where output and counts are right."""
    grid = tuple(rng.randint(3, most) for most in rng.choice([[20], [7, 6], [4, 3, 5]]))
    near = tuple(drawn_axis(rng, n) for n in grid)
    cells = list(itertools.product(*map(range, grid)))
    seen = [[defined(each, q, n) for q in range(n)] for each, n in zip(near, grid, strict=True)]
    mask = torch.tensor(
        [[all(b in s[a] for s, a, b in zip(seen, query, key, strict=True)) for key in cells] for query in cells]
    )
    q, k, v = (normal(1, 2, len(cells), 4, seed=rng.randrange(2**30)) for _ in range(3))
    queries, keys, sees = neighbourhood_groups(grid, near)
    off = distance(
        attend_groups(q, k, v, queries, keys, sees_BGQN=sees[None]), attend(q, k, v, sees=mask.expand(1, -1, -1))
    )
    if off > tolerance:
        return f"{near} on {grid}: the output is {off:.1e} from attention under the mask"
    tiles = tuple((rng.randint(1, 4), rng.randint(1, 4)) for _ in grid)
    counts = visits(grid, near, tiles), counted(mask, cells, near, tiles)
    return (
        ""
        if counts[0] == counts[1]
        else f"{near} on {grid}, tiles {tiles}: {counts[0]} visits, the mask has {counts[1]}"
    )


def drawn_axis(rng: random.Random, length: int) -> Neighbourhood:
    dilation = rng.randint(1, max(1, length // 2))
    kernel = rng.randint(2, max(2, length // dilation))
    return Neighbourhood(kernel, rng.randint(1, kernel), dilation, rng.random() < 0.4)


def counted(
    mask: Tensor, cells: list[tuple[int, ...]], near: tuple[Neighbourhood, ...], tiles: tuple[tuple[int, int], ...]
) -> int:
    """Pairs of tiles that hold an entry of the mask; cells of one remainder mod dilation are sorted together."""
    pairs: set[tuple[Any, ...]] = set()
    for q, k in mask.nonzero().tolist():
        axes = zip(cells[q], cells[k], near, tiles, strict=True)
        pairs.add(tuple((a % n.dilation, a // n.dilation // t[0], b // n.dilation // t[1]) for a, b, n, t in axes))
    return len(pairs)


@torch.no_grad()
def limit_error(settings: Mapping[str, Any], seed: int) -> float:
    """The greater of the distances from neighbourhood attention at stride 1, and from window attention at the kernel's."""
    dim, heads = settings["dim"], settings["heads"]
    sliding = drawn(lambda: built(settings, 3, 1), seed)
    blocked = drawn(lambda: built(settings, 4, 4), seed)
    windows = WindowAttention(dim, heads=heads, window=4)
    windows.relative.table.zero_()
    limits: list[tuple[Mixer, Mixer]] = [
        (sliding, NeighbourhoodAttention(dim, heads=heads, kernel=3, relative=False)),
        (blocked, windows),
    ]
    x_BTD, ctx = normal(2, 96, dim, seed=seed, purpose="limit"), Ctx(grid=(8, 12))
    for ours, theirs in limits:
        theirs.double().load_state_dict(ours.state_dict(), strict=False)
    return max(distance(ours(x_BTD, ctx), theirs(x_BTD, ctx)) for ours, theirs in limits)
