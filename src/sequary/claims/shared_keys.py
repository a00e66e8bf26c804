"""Measured: attention from blocks with a halo takes less time than a window of as many keys for each pixel; exact in its limits.

Settings: `side` of the grid, `block`, `halo`, `dim`, `heads`, `repeats`, `tolerance`. Metric `seconds`: of a forward pass, processor time
of one thread, float32, the median over repeats, both mixers in turn. The baseline is neighbourhood attention whose kernel is as wide as
block and halo together, which therefore must be odd. Exact parts, in float64: the output is that of attention over all pairs
under the mask of blocks and halos, and with no halo that of attention in windows without position bias, to `tolerance`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from time import process_time
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.mixers.attention.halo import HaloAttention
from sequary.mixers.attention.neighbourhood import NeighbourhoodAttention
from sequary.mixers.attention.projection import join
from sequary.mixers.attention.window import WindowAttention
from sequary.ops.attend import weights


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    grid, kernel = (s["side"], s["side"]), s["block"] + 2 * s["halo"]
    halo = drawn(lambda: built(s, s["halo"]), seed)
    near = drawn(lambda: NeighbourhoodAttention(s["dim"], heads=s["heads"], kernel=kernel), seed)
    x_BTD = normal(1, s["side"] ** 2, s["dim"], seed=seed)
    masked, windowed = mask_error(halo, x_BTD, grid), window_error(s, seed)
    broken = ""
    if masked > s["tolerance"]:
        broken = f"the output is {masked:.1e} from attention under the mask; {s['tolerance']:.0e} is asked for"
    elif windowed > s["tolerance"]:
        broken = f"without a halo the output is {windowed:.1e} from windows; {s['tolerance']:.0e} is asked for"
    few, many, x_BTD = halo.float(), near.float(), x_BTD.float()
    ours, theirs = seconds(
        (lambda: few(x_BTD, Ctx(grid=grid)), lambda: many(x_BTD, Ctx(grid=grid))), repeats=s["repeats"]
    )
    return Trial(seed, ours, theirs, broken=broken, also={"mask_error": masked, "window_error": windowed})


def built(settings: Mapping[str, Any], halo: int) -> HaloAttention:
    return HaloAttention(settings["dim"], heads=settings["heads"], block=settings["block"], halo=halo)


@torch.no_grad()
def seconds(calls: Sequence[Callable[[], Tensor]], *, repeats: int) -> list[float]:
    """Of each call: the median over `repeats` rounds of all, after one that does not count."""
    taken: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for call, found in zip(calls, taken, strict=True):
            began = process_time()
            call()
            if repeat:
                found.append(process_time() - began)
    return [statistics.median(found) for found in taken]


@torch.no_grad()
def mask_error(mixer: HaloAttention, x_BTD: Tensor, grid: tuple[int, int]) -> float:
    """Between the mixer and attention over all pairs of cells, cell by cell from the definition."""
    cells = torch.cartesian_prod(*(torch.arange(n) for n in grid))
    first = cells // mixer.block * mixer.block
    within = [(cells[None] >= first[:, None] - mixer.halo), (cells[None] < first[:, None] + mixer.block + mixer.halo)]
    sees_TT = (within[0] & within[1]).all(-1)
    offset = (cells[None] - cells[:, None] + mixer.block + mixer.halo - 1).clamp(0, len(mixer.offsets.rows) - 1)
    q, k, v = mixer.qkv(x_BTD, None, mixer.heads)
    by_row, by_column = (q @ table.mT for table in (mixer.offsets.rows, mixer.offsets.columns))
    at = [offset[..., axis].expand(*q.shape[:2], -1, -1) for axis in range(2)]
    places = by_row.gather(-1, at[0]) + by_column.gather(-1, at[1])
    w = weights(q, k, sees=sees_TT[None], bias=places * q.shape[-1] ** -0.5)
    return distance(mixer(x_BTD, Ctx(grid=grid)), mixer.o(join(w @ v)))


@torch.no_grad()
def window_error(settings: Mapping[str, Any], seed: int) -> float:
    """Between a halo of no cells and windows, with the same weights and no position bias in either."""
    block, dim = settings["block"], settings["dim"]
    grid = (3 * block - 1, 2 * block)
    none = drawn(lambda: built(settings, 0), seed)
    windows = WindowAttention(dim, heads=settings["heads"], window=block, bias=False).double()
    for table in (none.offsets.rows, none.offsets.columns, windows.relative.table):
        table.zero_()
    shared = {n: w for n, w in none.state_dict().items() if not n.startswith("offsets.")}
    windows.load_state_dict(shared | {"relative.table": windows.relative.table})
    x_BTD = normal(2, grid[0] * grid[1], dim, seed=seed, purpose="window")
    return distance(none(x_BTD, Ctx(grid=grid)), windows(x_BTD, Ctx(grid=grid)))
