"""Polyphase anchoring: a map is rolled so that its strongest sampling phase starts at the origin.

Ding et al., Reviving Shift Equivariance in Vision Transformers (arXiv 2306.07470): what then samples with that stride gives, for a rolled
map, the same values in a rolled order.
"""

from __future__ import annotations

import torch
from torch import Tensor


def anchor(x_BHWD: Tensor, stride: int) -> Tensor:
    """[B, 2]: rows and columns by which to roll back, 0 … stride − 1, so that the phase of greatest norm comes to (0, 0)."""
    height, width = x_BHWD.shape[1:3]
    if height % stride or width % stride:
        raise ValueError(
            f"a map of {height} × {width} has no whole phases of stride {stride}; fill it up or choose another"
        )
    phases = x_BHWD.detach().reshape(-1, height // stride, stride, width // stride, stride, x_BHWD.shape[3])
    best = phases.square().sum((1, 3, 5)).flatten(1).argmax(1)
    return torch.stack((best // stride, best % stride), 1)


def rolled(x_BHWD: Tensor, by_B2: Tensor) -> Tensor:
    """Each map of the batch rolled back by its own rows and columns: entry (i, j) comes from (i + rows, j + columns), around borders."""
    height, width = x_BHWD.shape[1:3]
    row = (torch.arange(height, device=x_BHWD.device) + by_B2[:, :1]) % height
    column = (torch.arange(width, device=x_BHWD.device) + by_B2[:, 1:]) % width
    batch = torch.arange(x_BHWD.shape[0], device=x_BHWD.device)
    return x_BHWD[batch[:, None, None], row[:, :, None], column[:, None, :]]
