"""Softmax attention of each query over a few keys of its own, and the sliding windows that choose them on a grid.

Neighbourhood attention (Hassani et al., 2023): on every axis a query reads the `kernel` cells nearest to it; near a border the
window slides inward, so that it always holds `kernel` keys. Dilation and stride as in NATTEN: with dilation d the cells of
one residue class mod d are neighbours; with stride s the queries of a group of s share the window of its leader.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.attend import weights
from sequary.ops.forms import chosen


def window(
    length: int,
    *,
    kernel: int,
    dilation: int = 1,
    stride: int = 1,
    causal: bool = False,
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:
    """(keys [L, K], real [L, K]) of one axis, K = min(kernel, cells of a class). Where `real` is False the key is a filler.

    Causal: the `kernel` keys that end at the leader, the last of its group, as far as they are not after the query itself.
    """
    cell = torch.arange(length, device=device)
    place, group = cell // dilation, cell % dilation
    size = (length - group + dilation - 1) // dilation
    kernel = min(kernel, (length + dilation - 1) // dilation)
    leader = torch.minimum(place // stride * stride + (stride - 1 if causal else stride // 2), size - 1)
    first = leader - kernel + 1 if causal else torch.minimum(leader - kernel // 2, size - kernel).clamp(min=0)
    keys = first[:, None] + torch.arange(kernel, device=device)
    real = (keys >= 0) & (keys < size[:, None])
    if causal:
        real = real & (keys <= place[:, None])
    return torch.minimum(keys.clamp(min=0), size[:, None] - 1) * dilation + group[:, None], real


def combined(axes: list[Tensor], sizes: list[int]) -> Tensor:
    """[T, K] flat indices into a table of `sizes` from [L, k] indices of each axis: row-major in queries and in keys."""
    flat = axes[0]
    for index, size in zip(axes[1:], sizes[1:], strict=True):
        flat = (flat[:, None, :, None] * size + index[None, :, None, :]).flatten(0, 1).flatten(1, 2)
    return flat


def every(axes: list[Tensor]) -> Tensor:
    """[T, K] bool: true on every axis."""
    real = axes[0]
    for other in axes[1:]:
        real = (real[:, None, :, None] & other[None, :, None, :]).flatten(0, 1).flatten(1, 2)
    return real


def attend_at(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_BHSV: Tensor,
    keys_TN: Tensor,
    *,
    sees_BTN: Tensor,
    bias_HTN: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """[B, H, T, V]: query t over the keys `keys_TN[t]` that `sees_BTN` (B or 1) allows.

    Forms: "reference" (a loop over queries), "gather" (keys and values gathered for all queries at once, the default).
    """
    if chosen("gather") == "reference":
        return _loop(q_BHTK, k_BHSK, v_BHSV, keys_TN, sees_BTN, bias_HTN, scale)
    bias = None if bias_HTN is None else bias_HTN[:, :, None]
    w = weights(q_BHTK[..., None, :], k_BHSK[:, :, keys_TN], sees=sees_BTN[:, None, :, None], bias=bias, scale=scale)
    return (w @ v_BHSV[:, :, keys_TN]).squeeze(-2)


def _loop(
    q: Tensor, k: Tensor, v: Tensor, keys_TN: Tensor, sees_BTN: Tensor, bias_HTN: Tensor | None, scale: float | None
) -> Tensor:
    out: list[Tensor] = []
    for t, keys in enumerate(keys_TN):
        bias = None if bias_HTN is None else bias_HTN[:, t, None]
        w = weights(q[:, :, t, None], k[:, :, keys], sees=sees_BTN[:, None, t, None], bias=bias, scale=scale)
        out.append(w @ v[:, :, keys])
    return torch.cat(out, 2)
