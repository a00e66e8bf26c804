"""x / √(mean x² + eps) · weight over the last axis (Zhang & Sennrich, 2019), with its derivative by hand.

With r = (mean x² + eps)^(−½) and g = dy · weight: dx = r (g − x · r² mean(g x)), dweight = Σ_rows dy x r. torch's own on a CPU is
a chain of some ten passes over x each way.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete

linalg: Any = torch.linalg  # torch has no types for it


def rms_norm(x: Tensor, weight: Tensor, *, eps: float) -> Tensor:
    """[..., D], weight [D]. Forms: "reference" (torch's), "passes" (few, the default on a CPU, x and weight of one type)."""
    fits = x.device.type == "cpu" and x.dtype == weight.dtype in (torch.float32, torch.float64)
    learns = torch.is_grad_enabled()
    if chosen("passes" if fits and (learns or not torch.compiler.is_compiling()) else "reference") == "reference":
        return F.rms_norm(x, weight.shape, weight, eps)
    return (_passes if learns or torch.compiler.is_compiling() else _written)(x, weight, eps)[0]


def _written(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(y, r [..., 1])."""
    inverse: Tensor = linalg.vector_norm(x, dim=-1, keepdim=True)
    inverse.square_().mul_(1 / x.shape[-1]).add_(eps).rsqrt_()
    return (x * inverse).mul_(weight), inverse


@torch.library.custom_op("sequary::rms_norm", mutates_args=())
def _passes(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return _written(x, weight, eps)


@torch.library.custom_op("sequary::rms_norm_backward", mutates_args=())
def _backward(dy: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x and weight."""
    scaled = dy * x
    dweight = scaled.flatten(0, -2).mT @ inverse.flatten()
    mean = (scaled @ weight)[..., None] * inverse.square() / -x.shape[-1]
    return torch.addcmul(dy * weight, x, mean).mul_(inverse), dweight


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, float], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[0], inputs[1], output[1])


def _gradients(ctx: Any, dy: Tensor, _: None) -> tuple[Tensor, Tensor, None]:
    return *_backward(dy, *ctx.saved_tensors), None


def _fake(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty(*x.shape[:-1], 1)


def _fake_backward(dy: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight)


complete(_passes, fake=_fake, save=_save, gradients=_gradients)
complete(_backward, fake=_fake_backward)
