"""Causal softmax attention of a whole sequence to itself: o_t = Σ_{s<=t} softmax_s(q_t·k_s · scale) v_s."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from sequary.ops.attend import attend
from sequary.ops.forms import chosen
from sequary.ops.operator import complete

BLOCK = 64
"""Queries whose scores are one product."""
LONGEST = 512
"""Keys up to which the weights, kept for the backward pass (2 T² bytes a head), are small change."""


def causal_attend(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor) -> Tensor:
    """[B, H, T, V]; the scale is 1/√K. Forms: those of `attend`, and "products" (below), the default for bfloat16 on a CPU up to
    512 keys: both passes of torch's fused form take 1.6 to 6 times as long there (benchmarks/attention.py)."""
    q, k, v = q_BHTK, k_BHTK, v_BHTV
    fits = q.device.type == "cpu" and q.dtype == k.dtype == v.dtype == torch.bfloat16 and q.shape[-2] <= LONGEST
    if chosen("products" if fits else "") == "products":
        return _products(q, k, v)[0]
    return attend(q, k, v, causal=True)


def _blocks(length: int) -> Iterator[tuple[slice, slice]]:
    """Runs of queries, and the keys up to the last of each."""
    for start in range(0, length, BLOCK):
        stop = min(start + BLOCK, length)
        yield slice(start, stop), slice(stop)


def _flat(x_BHTK: Tensor) -> Tensor:
    return x_BHTK.reshape(-1, *x_BHTK.shape[-2:])


@torch.library.custom_op("sequary::causal_attend", mutates_args=())
def _products(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor) -> tuple[Tensor, Tensor]:
    """(o, weights [B·H, T, T]): each block of queries times the keys before its end."""
    q, k, v = _flat(q_BHTK), _flat(k_BHTK), _flat(v_BHTV)
    length, scale = q.shape[1], 1 / math.sqrt(q.shape[2])
    later = torch.full((BLOCK, BLOCK), -math.inf, dtype=q.dtype, device=q.device).triu_(1)
    out, kept = torch.empty_like(v), q.new_zeros(len(q), length, length)
    for now, seen in _blocks(length):
        scores = (q[:, now] * scale) @ k[:, seen].mT
        scores[:, :, now] += later[: scores.shape[1], : scores.shape[1]]
        weights = scores.softmax(-1)
        kept[:, now, seen] = weights
        out[:, now] = weights @ v[:, seen]
    return out.view(v_BHTV.shape), kept


@torch.library.custom_op("sequary::causal_attend_backward", mutates_args=())
def _backward(
    do_BHTV: Tensor, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k, v."""
    q, k, v, do = _flat(q_BHTK), _flat(k_BHTK), _flat(v_BHTV), _flat(do_BHTV)
    scale = 1 / math.sqrt(q.shape[2])
    dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for now, seen in _blocks(q.shape[1]):
        weights = kept[:, now, seen].contiguous()
        dv[:, seen] += weights.mT @ do[:, now]
        dscores = torch.ops.aten._softmax_backward_data(do[:, now] @ v[:, seen].mT, weights, -1, weights.dtype)
        dq[:, now] = dscores @ k[:, seen]
        dk[:, seen] += dscores.mT @ q[:, now]
    return dq.mul_(scale).view(q_BHTK.shape), dk.mul_(scale).view(k_BHTK.shape), dv.view(v_BHTV.shape)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, do: Tensor, _: None) -> tuple[Tensor, Tensor, Tensor]:
    return _backward(do, *ctx.saved_tensors)


def _fake(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor) -> tuple[Tensor, Tensor]:
    rows, heads, length, _ = q_BHTK.shape
    return v_BHTV.new_empty(v_BHTV.shape), q_BHTK.new_empty(rows * heads, length, length)


def _fake_backward(
    do_BHTV: Tensor, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return q_BHTK.new_empty(q_BHTK.shape), k_BHTK.new_empty(k_BHTK.shape), v_BHTV.new_empty(v_BHTV.shape)


complete(_products, fake=_fake, save=_save, gradients=_gradients, half=True)
complete(_backward, fake=_fake_backward, half=True)
