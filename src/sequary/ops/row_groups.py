"""Softmax attention inside groups that each row cuts for itself: slices of its real tokens, groups of its sorted points.

As `ops/groups.py`, with indices [B, G, ·] of each row; −1 is a filler.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.attend import weights


def row_taken(x_BHTK: Tensor, index_BGN: Tensor) -> Tensor:
    """[B, H, G, N, K], zeros at −1."""
    flat = index_BGN.clamp(min=0).flatten(1)[:, None, :, None].expand(-1, x_BHTK.shape[1], -1, x_BHTK.shape[3])
    found = x_BHTK.gather(2, flat).view(*x_BHTK.shape[:2], *index_BGN.shape[1:], x_BHTK.shape[3])
    return found.masked_fill((index_BGN < 0)[:, None, ..., None], 0)


def attend_row_groups(
    q_BHTK: Tensor, k_BHSK: Tensor, v_BHSV: Tensor, queries_BGQ: Tensor, keys_BGN: Tensor, *, sees_BGQN: Tensor
) -> Tensor:
    """[B, H, T, V]: the queries of group g over its keys that `sees_BGQN` allows; a query in no group gets zeros."""
    q, k, v = row_taken(q_BHTK, queries_BGQ), row_taken(k_BHSK, keys_BGN), row_taken(v_BHSV, keys_BGN)
    y = (weights(q, k, sees=sees_BGQN[:, None]) @ v).flatten(2, 3)
    length = q_BHTK.shape[2]
    slot = torch.where(queries_BGQ < 0, length, queries_BGQ).flatten(1)[:, None, :, None].expand_as(y)
    return y.new_zeros(*y.shape[:2], length + 1, y.shape[3]).scatter(2, slot, y)[:, :, :length]
