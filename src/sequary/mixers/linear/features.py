"""What a linear attention may put its queries and keys, or its output gate, through. Functions of one tensor."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def relu(x: Tensor) -> Tensor:
    return F.relu(x)


def sigmoid(x: Tensor) -> Tensor:
    return x.sigmoid()


def log_sigmoid(x: Tensor) -> Tensor:
    return F.logsigmoid(x)


def silu(x: Tensor) -> Tensor:
    """x σ(x), also called swish."""
    return F.silu(x)


def squared_relu(x: Tensor) -> Tensor:
    return F.relu(x).square()


def gelu_tanh(x: Tensor) -> Tensor:
    """The tanh form of GELU, √(2/π) rounded to 0.79788456 as in flash-linear-attention."""
    return 0.5 * x * (1 + (0.79788456 * x * (1 + 0.044715 * x * x)).tanh())
