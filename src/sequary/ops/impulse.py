"""What a fixed linear system answers to a single 1: h_t = Aᵗ b for t = 0, 1, 2 …"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.operator import complete


@torch.library.custom_op("sequary::impulse", mutates_args=())
def impulse(A_MM: Tensor, b_M: Tensor, length: int) -> Tensor:
    """[T, M], by doubling: as many products of matrices as T has binary digits. For systems that nothing trains: no derivative.

    An operator of our own, since how often it doubles depends on the length.
    """
    found, power = b_M[None], A_MM
    while len(found) < length:
        found, power = torch.cat((found, found @ power.mT)), power @ power
    return found[:length].clone()


def _fake(A_MM: Tensor, b_M: Tensor, length: int) -> Tensor:
    return b_M.new_empty(length, len(b_M))


complete(impulse, fake=_fake)
