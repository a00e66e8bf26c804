"""One key and one value for each run of tokens: what an attention reads of a region that it does not read token by token."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sequary.ops.block_attend import reading
from sequary.ops.forms import chosen


def pooled(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, *, block_BT: Tensor, real_BT: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """(keys [B, H, N, K], values [B, H, N, V]) of N = `count` blocks: max_j k_j, and Σ_j softmax_j(max_i q_i · k_j / √K) v_j, i and j
    over the real tokens whose `block` it is; 0 for a block without any (Ren et al., Combiner, arXiv 2107.05768, section 3).

    Forms: "scatter" (one pass over the tokens, the default), "reference" (each block over all tokens under a mask).
    """
    if chosen("scatter") == "reference":
        member = (block_BT[:, None] == torch.arange(count, device=block_BT.device)[:, None]) & real_BT[:, None]
        q, k = (_masked_max(x, member) for x in (q_BHTK, k_BHTK))
        return k, reading(q, k_BHTK, v_BHTV, member[:, None])[0]
    index = torch.where(real_BT, block_BT, count)[:, None, :, None]  # what is not real goes to a block of its own
    q, k = (_scattered_max(x, index, count) for x in (q_BHTK, k_BHTK))
    near = index.clamp(max=count - 1)
    scores = (q.gather(2, near.expand_as(q_BHTK)) * k_BHTK).sum(-1, keepdim=True) / math.sqrt(k.shape[-1])
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    greatest = _scattered_max(scores.detach(), index, count).gather(2, near.expand_as(scores))
    weights = (scores - greatest).exp() * real_BT[:, None, :, None]
    total = _scattered_sum(weights, index, count)
    values = _scattered_sum(weights * v_BHTV, index, count) / torch.where(total > 0, total, 1)
    return k, values.to(v_BHTV.dtype)


def _masked_max(x_BHTK: Tensor, member_BNT: Tensor) -> Tensor:
    least = torch.finfo(x_BHTK.dtype).min
    found = torch.where(member_BNT[:, None, :, :, None], x_BHTK[:, :, None], least).amax(3)
    return torch.where(member_BNT.any(-1)[:, None, :, None], found, 0)


def _scattered_max(x_BHTK: Tensor, index_B1T1: Tensor, count: int) -> Tensor:
    least = torch.finfo(x_BHTK.dtype).min
    found = x_BHTK.new_full((*x_BHTK.shape[:2], count + 1, x_BHTK.shape[-1]), least)
    found = found.scatter_reduce(2, index_B1T1.expand_as(x_BHTK), x_BHTK, "amax")[:, :, :count]
    return torch.where(found > least, found, 0)


def _scattered_sum(x_BHTK: Tensor, index_B1T1: Tensor, count: int) -> Tensor:
    found = x_BHTK.new_zeros(*x_BHTK.shape[:2], count + 1, x_BHTK.shape[-1])
    return found.scatter_add(2, index_B1T1.expand_as(x_BHTK), x_BHTK)[:, :, :count]
