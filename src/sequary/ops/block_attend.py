"""Softmax attention within blocks of gathered keys, with what is needed to merge several such readings into one softmax.

A reading is (o, z): o = softmax(q kᵀ · scale) v over some keys, z = log Σ exp(q kᵀ · scale) over them. `merge` makes of readings over
disjoint sets of keys the softmax over their union. `block_attend` reads any blocks; `run_attend` the near tokens of a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.flex import Rule, near
from sequary.ops.forms import chosen

Reading = tuple[Tensor, Tensor]
"""o [..., T, V] and z [..., T]; where nothing is seen o is 0 and z the least number of its dtype."""


def take(x_BHSK: Tensor, index_BHGN: Tensor) -> Tensor:
    """[B, H, G, N, K]: the tokens at `index`, for each row and head apart."""
    rows = torch.arange(x_BHSK.shape[0], device=x_BHSK.device)[:, None, None, None]
    heads = torch.arange(x_BHSK.shape[1], device=x_BHSK.device)[:, None, None]
    return x_BHSK[rows, heads, index_BHGN]


def block_attend(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_BHSV: Tensor,
    queries_BHGM: Tensor,
    keys_BHGN: Tensor,
    *,
    sees_BHGMN: Tensor,
    scale: float | None = None,
) -> Reading:
    """o [B, H, G, M, V], z [B, H, G, M]: in each of G blocks, the M queries named there read those of its N keys that they may see.

    A key may be named twice as long as a query sees it once. Forms: "gather" (the default), "reference" (each query over all S keys
    under a dense mask).
    """
    q_BHGMK = take(q_BHTK, queries_BHGM)
    if chosen("gather") != "reference":
        return reading(q_BHGMK, take(k_BHSK, keys_BHGN), take(v_BHSV, keys_BHGN), sees_BHGMN, scale)
    seen = sees_BHGMN.new_zeros(*sees_BHGMN.shape[:-1], k_BHSK.shape[2], dtype=torch.int8)
    index = keys_BHGN[..., None, :].expand_as(sees_BHGMN)
    sees = seen.scatter_reduce(-1, index, sees_BHGMN.to(torch.int8), "amax").bool()
    return reading(q_BHGMK, k_BHSK[:, :, None], v_BHSV[:, :, None], sees, scale)


def run_attend(
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTV: Tensor,
    *,
    width: int,
    run_BhT: Tensor,
    real_BhT: Tensor,
    ahead: bool = False,
    itself: bool = True,
    scale: float | None = None,
) -> Reading:
    """o [B, H, T, V], z [B, H, T]: t reads s where both are of one run, 0 <= t − s < width
    (`ahead`: |t − s| < width), s is real, and is not t unless `itself`.

    `run` int and `real` bool, h = 1 or H. Forms: "blocks" (blocks of `width` tokens read themselves and their neighbours),
    "reference" (a dense mask; the default up to two blocks of tokens, but for torch.export, whose one graph serves all lengths),
    "flex" (flex.py, on a GPU).
    """
    at = torch.arange(q_BHTK.shape[2], device=q_BHTK.device)
    short = not torch.compiler.is_exporting() and q_BHTK.shape[2] <= 2 * width
    asked = chosen("reference" if short else "blocks")
    if asked == "flex":
        may, back = _rule(run_BhT, real_BhT, q_BHTK.shape[1], width, ahead, itself), width - 1
        return near(q_BHTK, k_BHTK, v_BHTV, may, back=back, ahead=back if ahead else 0, scale=scale)
    if asked == "reference":
        sees = _near(at, at, width, ahead, itself) & real_BhT[..., None, :]
        sees = sees & (run_BhT[..., :, None] == run_BhT[..., None, :])
        return reading(q_BHTK, k_BHTK, v_BHTV, sees, scale)
    sides, length = 2 if ahead else 1, q_BHTK.shape[2]
    # Past the end come fillers, which nobody sees. Never a single block: torch.export would build a graph of its own for that.
    first = torch.arange((length + width - 1) // width + 1, device=at.device) * width
    place_GW = first[:, None] + torch.arange(width, device=at.device)
    inside_GW = place_GW.clamp(max=length - 1)
    beside = [_beside(x[:, :, inside_GW], sides) for x in (k_BHTK, v_BHTV, run_BhT[..., None], real_BhT[..., None])]
    k, v, run, real = (*beside[:3], beside[3] & (_beside(place_GW[..., None], sides) < length))
    sees = _near(place_GW, _beside(place_GW[..., None], sides)[..., 0], width, ahead, itself)
    sees = sees & (run_BhT[:, :, inside_GW][..., None] == run.mT) & real.mT
    o, z = reading(q_BHTK[:, :, inside_GW], k, v, sees, scale)
    return o[:, :, at // width, at % width], z[:, :, at // width, at % width]


def merge(readings: Sequence[Reading]) -> Tensor:
    """[..., T, V]: one softmax over all the keys of `readings`; 0 where none sees anything."""
    shares = torch.stack([z for _, z in readings]).softmax(0)
    return sum(
        (o * share[..., None] for (o, _), share in zip(readings, shares, strict=True)), torch.zeros(()).to(shares)
    )


def reading(q: Tensor, k: Tensor, v: Tensor, sees: Tensor, scale: float | None = None) -> Reading:
    """Of queries [..., T, K] over keys [..., S, K] under `sees`, by plain products."""
    scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    # A finite fill keeps the gradient finite where a query sees nothing; such rows are zeroed afterwards.
    filled = scores.masked_fill(~sees, torch.finfo(scores.dtype).min)
    wide = filled.to(torch.promote_types(scores.dtype, torch.float32))
    z = torch.where(sees.any(-1), wide.logsumexp(-1), torch.finfo(scores.dtype).min)
    return (wide.softmax(-1).to(scores.dtype) * sees) @ v, z.to(scores.dtype)


def _near(at_T: Tensor, at_S: Tensor, width: int, ahead: bool, itself: bool) -> Tensor:
    return _close(at_T[..., :, None] - at_S[..., None, :], width, ahead, itself)


def _rule(run_BhT: Tensor, real_BhT: Tensor, heads: int, width: int, ahead: bool, itself: bool) -> Rule:
    """Who reads whom in `run_attend`, asked of indices."""
    run_BHT, real_BHT = (x.expand(-1, heads, -1) for x in (run_BhT, real_BhT))

    def may(b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return _close(t - s, width, ahead, itself) & (run_BHT[b, h, t] == run_BHT[b, h, s]) & real_BHT[b, h, s]

    return may


def _close(back: Tensor, width: int, ahead: bool, itself: bool) -> Tensor:
    close = (back.abs() < width) if ahead else (back >= 0) & (back < width)
    return close if itself else close & (back != 0)


def _beside(x: Tensor, sides: int) -> Tensor:
    """[..., G, w, K] -> [..., G, (1 + sides) w, K]: before each block the one before it and, of two sides, behind it the one after it."""
    count = x.shape[-3]
    padded = F.pad(x, (0, 0, 0, 0, 1, 1))
    return torch.cat([padded.narrow(-3, i, count) for i in range(1 + sides)], -2)
