"""Rotary positions (RoFormer, arXiv 2104.09864, eq. 34): a query or key is turned by an angle that grows with its position."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete


def rotate(x_BHTK: Tensor, positions_BT: Tensor, *, base: float = 10_000.0) -> Tensor:
    """`x` with each pair (first half, second half) turned by position · base^(−2i/K); K must be even."""
    return turn(x_BHTK, *turns(positions_BT, x_BHTK.shape[-1], base=base, dtype=x_BHTK.dtype))


def turns(positions_BT: Tensor, width: int, *, base: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(cos, sin) [B, 1, T, K/2] of the angles: for what several tensors are turned by."""
    _check(width)
    half = width // 2
    rate = base ** (-torch.arange(half, device=positions_BT.device, dtype=torch.float64) / half)
    angle = positions_BT[:, None, :, None] * rate  # in float64: in bfloat16 a late position's angle is off by a radian
    return angle.cos().to(dtype), angle.sin().to(dtype)


@functools.lru_cache(maxsize=8)
def counted(
    start: int, length: int, width: int, *, base: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """`turns` of the positions start, start + 1, …: kept, since every layer of a decoder asks for the same. Not to be traced."""
    with torch.inference_mode(False):  # what is made in it could not be learnt with by a later call
        return turns(torch.arange(start, start + length, device=device)[None], width, base=base, dtype=dtype)


def _check(width: int) -> None:
    if width % 2:
        raise ValueError(
            f"rotary positions turn pairs, and the head width {width} is odd: choose dim and heads so that dim / heads is even"
        )


def turn(x_BHTK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(a cos − b sin, a sin + b cos) of the halves a, b of `x`. Forms: "reference", "passes" (written in place, the default on a CPU)."""
    _check(x_BHTK.shape[-1])
    if chosen("passes" if x_BHTK.device.type == "cpu" else "reference") == "reference":
        a, b = x_BHTK.chunk(2, -1)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
    traced = torch.is_grad_enabled() or torch.compiler.is_compiling()
    return _turn(x_BHTK, cos, sin) if traced else _written(x_BHTK, cos, sin)


def _written(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    (a, b), (c, d) = x.chunk(2, -1), out.chunk(2, -1)
    torch.mul(a, cos, out=c).addcmul_(b, sin, value=-1)
    torch.mul(a, sin, out=d).addcmul_(b, cos)
    return out


@torch.library.custom_op("sequary::turn", mutates_args=())
def _turn(x_BHTK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return _written(x_BHTK, cos, sin)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:])


def _gradients(ctx: Any, d: Tensor) -> tuple[Tensor, None, None]:
    """Turned back."""
    cos, sin = ctx.saved_tensors
    return _turn(d, cos, -sin), None, None


def _fake(x_BHTK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return torch.empty_like(x_BHTK, memory_format=torch.contiguous_format)


complete(_turn, fake=_fake, save=_save, gradients=_gradients, half=True)  # its results meet values in attention
