"""Sequences cut into chunks for recurrent ops: [B, T, H, K] to [N, B·H, C, K], N chunks of C tokens, the last filled up with zeros."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 16
"""Chunks whose temporary tensors are held together."""


def chunk_size(length: int, largest: int) -> int:
    """A power of two: `largest`, or what a short sequence fills."""
    return min(largest, 1 << (length - 1).bit_length())


def cut(x_BTHK: Tensor, size: int) -> Tensor:
    rows, length, heads, width = x_BTHK.shape
    # Padding by nothing would copy, and so would merging dimensions before they lie in their final order: one copy is enough.
    x = F.pad(x_BTHK, (0, 0, 0, 0, 0, -length % size)) if length % size else x_BTHK
    x = x.view(rows, x.shape[1] // size, size, heads, width).permute(1, 0, 3, 2, 4).contiguous()
    return x.view(len(x), rows * heads, size, width)


def join(x: Tensor, like_BTHK: Tensor) -> Tensor:
    """Back to [B, T, H, K], B, T and H as in `like`."""
    rows, length, heads, _ = like_BTHK.shape
    x = x.view(len(x), rows, heads, *x.shape[2:]).permute(1, 0, 3, 2, 4).flatten(1, 2)
    return x[:, :length].contiguous()


def product(a: Tensor, b: Tensor, out: Tensor, *, add: bool = False) -> None:
    """out = a @ b, or out += a @ b, in place; all [N, B·H, ·, ·]."""
    a, b, out = (x.flatten(0, 1) for x in (a, b, out))
    torch.baddbmm(out, a, b, out=out) if add else torch.bmm(a, b, out=out)


def groups(chunks: int, size: int = GROUP) -> list[slice]:
    size = max(size, 1)
    return [slice(n, min(n + size, chunks)) for n in range(0, chunks, size)]


def starts_of(length: int, largest: int) -> int:
    """How many states lie at the chunks' starts and after the last: never 1, a size that tracing would fix."""
    return (length + largest - 1) // largest + 1


def states(filled: Tensor, added: Tensor, keep: Tensor | None) -> None:
    """Fill filled[1:] [N, B·H, K, V] from filled[0]: each the one before, times keep [N, B·H, K or 1, 1], plus what its chunk adds."""
    for n, new in enumerate(added):
        if keep is None:
            torch.add(filled[n], new, out=filled[n + 1])
        else:
            torch.addcmul(new, keep[n], filled[n], out=filled[n + 1])
