"""FlexAttention (Dong et al., arXiv 2412.05496) as the form "flex" of attention near by: torch's own kernel, written for the mask.

A form for GPUs: on a CPU torch has no backward pass of it. It is not a default, for its first call compiles and needs triton.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, flex_attention

BLOCK = 128
"""Queries and keys of one tile."""
Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Whether, in a row and a head, a query may read a key: all four are indices."""


def near(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, sees: Rule, *, back: int, ahead: int, scale: float | None
) -> tuple[Tensor, Tensor]:
    """o [B, H, T, V] and log Σ exp [B, H, T], the least number where nothing is seen. `sees` must be false for keys that lie more than
    `back` before or `ahead` after the query: their tiles are not visited."""
    if (
        q_BHTK.device.type == "cpu"
        and torch.is_grad_enabled()
        and any(x.requires_grad for x in (q_BHTK, k_BHTK, v_BHTV))
    ):
        raise RuntimeError('form "flex" learns on a GPU alone, and these tensors are on the CPU: use "blocks"')
    mask = tiles(q_BHTK.shape[2], sees, back=back, ahead=ahead, device=q_BHTK.device)
    run = flex_attention if q_BHTK.device.type == "cpu" or torch.compiler.is_compiling() else _compiled()
    o, more = run(q_BHTK, k_BHTK, v_BHTV, block_mask=mask, scale=scale, return_aux=AuxRequest(lse=True))
    assert more.lse is not None
    return o, more.lse.to(o.dtype).clamp(min=torch.finfo(o.dtype).min)


def tiles(length: int, sees: Rule, *, back: int, ahead: int, device: torch.device) -> BlockMask:
    """The tiles in the band, the same for all rows and heads; without the T × T mask that torch would find them from."""
    count = (length + BLOCK - 1) // BLOCK
    first = torch.arange(count, device=device) * BLOCK
    low = ((first - back) // BLOCK).clamp(min=0)
    high = ((first + BLOCK - 1 + ahead) // BLOCK).clamp(max=count - 1)
    index = (low[:, None] + torch.arange(count, device=device)).clamp(max=count - 1)
    return BlockMask.from_kv_blocks(
        (high - low + 1).int()[None, None],
        index.int()[None, None],
        BLOCK_SIZE=BLOCK,
        mask_mod=sees,
        seq_lengths=(length, length),
    )


@functools.cache
def _compiled() -> Any:
    return torch.compile(flex_attention)  # pyright: ignore[reportUnknownMemberType]
