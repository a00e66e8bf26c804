"""Scores of a small network for each pair: s_ts = Σ_u w_u relu(a_tu + c_su).

Two forms: "reference", the sum over [B, H, T, S, U], and "units", one unit after another, whose backward pass computes each again: memory
for one [B, H, T, S] instead of U of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete


def pair_scores(a_BHTU: Tensor, c_BHSU: Tensor, w_HU: Tensor) -> Tensor:
    """[B, H, T, S]."""
    if chosen("units") == "reference":
        both = (a_BHTU[..., :, None, :] + c_BHSU[..., None, :, :]).relu()
        return (both * w_HU[:, None, None]).sum(-1)
    return _units(a_BHTU, c_BHSU, w_HU)


def _unit(a: Tensor, c: Tensor, w: Tensor, u: int) -> tuple[Tensor, Tensor]:
    """(a_u + c_u [B, H, T, S], w_u [H, 1, 1])."""
    return a[..., u, None] + c[..., None, :, u], w[:, u, None, None]


@torch.library.custom_op("sequary::pair_scores", mutates_args=())
def _units(a_BHTU: Tensor, c_BHSU: Tensor, w_HU: Tensor) -> Tensor:
    scores = a_BHTU.new_zeros(*a_BHTU.shape[:-1], c_BHSU.shape[-2])
    for u in range(w_HU.shape[1]):
        sums, weight = _unit(a_BHTU, c_BHSU, w_HU, u)
        scores.add_(sums.relu_().mul_(weight))
    return scores


@torch.library.custom_op("sequary::pair_scores_backward", mutates_args=())
def _backward(dscores: Tensor, a_BHTU: Tensor, c_BHSU: Tensor, w_HU: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    da, dc, dw = torch.empty_like(a_BHTU), torch.empty_like(c_BHSU), torch.empty_like(w_HU)
    for u in range(w_HU.shape[1]):
        sums, weight = _unit(a_BHTU, c_BHSU, w_HU, u)
        kept = dscores * (sums > 0)
        dw[:, u] = (kept * sums).sum((0, 2, 3))
        da[..., u] = kept.sum(-1) * weight[..., 0]
        dc[..., u] = kept.sum(-2) * weight[..., 0]
    return da, dc, dw


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, dscores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _backward(dscores, *ctx.saved_tensors)


def _fake(a_BHTU: Tensor, c_BHSU: Tensor, w_HU: Tensor) -> Tensor:
    return a_BHTU.new_empty(*a_BHTU.shape[:-1], c_BHSU.shape[-2])


def _fake_backward(dscores: Tensor, a_BHTU: Tensor, c_BHSU: Tensor, w_HU: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(a_BHTU), torch.empty_like(c_BHSU), torch.empty_like(w_HU)


complete(_units, fake=_fake, save=_save, gradients=_gradients)
complete(_backward, fake=_fake_backward)
