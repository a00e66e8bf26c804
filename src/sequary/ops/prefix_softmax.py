"""A softmax over a growing prefix whose logits do not depend on who reads it: attention as a recurrence.

    o_t = Σ_{s<=t} exp(a_s) v_s / Σ_{s<=t} exp(a_s),   z_t = log Σ_{s<=t} exp(a_s)

The pair (z, o) is all that the future needs of the past (Feng et al., Attention as an RNN, arXiv 2405.13956, section 3.1): together they
are one token more, with logit z and value o. Sums are taken relative to the greatest logit so far, so that nothing overflows and
nothing that counts underflows.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.state import State
from sequary.ops.linear_attend import linear_attend

SHUT = -1e4
"""exp of it is 0."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prefix(State):
    """z [B, H] and o [B, H, V] of what was read, in float32 at least: to a long mean one more token adds less than bfloat16 can tell."""

    z: Tensor
    o: Tensor

    @staticmethod
    def empty(batch: int, heads: int, width: int, like: Tensor) -> Prefix:
        """The least finite logit: whatever comes after outweighs it entirely."""
        wide = torch.promote_types(like.dtype, torch.float32)
        z = like.new_full((batch, heads), torch.finfo(wide).min, dtype=wide)
        return Prefix(z, like.new_zeros(batch, heads, width, dtype=wide))


def prefix_softmax(
    a_BTH: Tensor,
    v_BTHV: Tensor,
    state: Prefix,
    *,
    mask_BT: Tensor | None = None,
    starts_BT: Tensor | None = None,
) -> tuple[Tensor, Tensor, Prefix]:
    """(o [B, T, H, V], z [B, T, H], the state after the last token). T >= 1. Forms: those of `linear_attend`.

    Masked tokens are not read. At a token that `starts` a segment, all before it is forgotten. Where nothing was read, o is finite.
    Half-precision inputs are computed in float32, in which z and the state stay.
    """
    wide = torch.promote_types(v_BTHV.dtype, torch.float32)
    a_BTH, values, state = a_BTH.to(wide), v_BTHV.to(wide), state.to(dtype=wide)
    if mask_BT is not None:
        a_BTH = a_BTH.masked_fill(~mask_BT[..., None], torch.finfo(a_BTH.dtype).min)
    top = _greatest(torch.cat((state.z[:, None], a_BTH), 1).detach(), starts_BT)
    before, now = top[:, :-1], top[:, 1:]
    g_BTH = (before - now).clamp(min=SHUT)
    if starts_BT is not None:
        g_BTH = g_BTH.masked_fill(starts_BT[..., None], -math.inf)
    k_BTH1 = (a_BTH - now).exp()[..., None]
    weight = (state.z - before[:, 0]).exp()[..., None]  # 1, with the gradient of z
    begin = torch.cat((state.o * weight, weight), -1)
    sums, _ = linear_attend(
        torch.ones_like(k_BTH1), k_BTH1, F.pad(values, (0, 1), value=1.0), g_BTH[..., None], begin[..., None, :]
    )
    o_BTHV, z_BTH = sums[..., :-1] / sums[..., -1:], now + sums[..., -1].log()
    # The state is no view, which would hold the sums of all tokens.
    return o_BTHV.to(v_BTHV.dtype), z_BTH, Prefix(z_BTH[:, -1].clone(), o_BTHV[:, -1].clone())


def _greatest(a_BSH: Tensor, starts_BT: Tensor | None) -> Tensor:
    """[B, S, H]: the greatest so far in the segment; the first of S comes before the first token."""
    if starts_BT is None:
        return a_BSH.cummax(1).values
    run_BS = F.pad(starts_BT.long().cumsum(1), (1, 0))
    rank_BSH = a_BSH.argsort(1).argsort(1)  # ranks are below S: a later segment's are above all of an earlier one's
    return a_BSH.gather(1, (run_BS[..., None] * a_BSH.shape[1] + rank_BSH).cummax(1).indices)
