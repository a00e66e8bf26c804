"""Softmax attention of groups of queries that share their keys: keys are gathered once for each group, not for each query.

Blocks with a halo, strided neighbourhoods and slices of a sequence are such groups. An index of −1 is a filler: it gathers zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.attend import weights
from sequary.ops.forms import chosen


def crossed(axes: list[Tensor], sizes: list[int]) -> Tensor:
    """[G, N] flat row-major indices into a grid of `sizes` from [g, n] indices of each axis; −1 where one of them is −1."""
    flat = axes[0]
    for index, size in zip(axes[1:], sizes[1:], strict=True):
        a, b = flat[:, None, :, None], index[None, :, None, :]
        flat = torch.where((a < 0) | (b < 0), -1, a * size + b).flatten(2, 3).flatten(0, 1)
    return flat


def taken(x_BHTK: Tensor, index_GN: Tensor) -> Tensor:
    """[B, H, G, N, K], zeros at −1."""
    return x_BHTK[:, :, index_GN.clamp(min=0)].masked_fill((index_GN < 0)[..., None], 0)


def attend_groups(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_BHSV: Tensor,
    queries_GQ: Tensor,
    keys_GN: Tensor,
    *,
    sees_BGQN: Tensor,
    offsets_QNK: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """[B, H, T, V]: the queries of group g, q·(k + offset) · scale, over the keys of g that `sees_BGQN` (B or 1) allows.

    Every query stands in exactly one group. Forms: "reference" (a loop over groups), "groups" (all at once, the default).
    """
    q, k, v = taken(q_BHTK, queries_GQ), taken(k_BHSK, keys_GN), taken(v_BHSV, keys_GN)
    if chosen("groups") == "reference":
        each = range(queries_GQ.shape[0])
        one = [_attend(q[:, :, g], k[:, :, g], v[:, :, g], sees_BGQN[:, None, g], offsets_QNK, scale) for g in each]
        y = torch.stack(one, 2)
    else:
        y = _attend(q, k, v, sees_BGQN[:, None], offsets_QNK, scale)
    flat = queries_GQ.flatten()
    slots = torch.where(flat < 0, flat.numel(), flat).argsort()[: q_BHTK.shape[2]]
    return y.flatten(2, 3)[:, :, slots]


def _attend(q: Tensor, k: Tensor, v: Tensor, sees: Tensor, offsets: Tensor | None, scale: float | None) -> Tensor:
    factor = float(q.shape[-1]) ** -0.5 if scale is None else scale
    bias = None if offsets is None else torch.einsum("...qk,qnk->...qn", q, offsets) * factor
    return weights(q, k, sees=sees, bias=bias, scale=factor) @ v
