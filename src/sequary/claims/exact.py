"""What trials of exact properties share: random weights and inputs of a seed, and who reads whom, by gradients. All in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from sequary.train.seeds import derive, forked, generator

M = TypeVar("M", bound=nn.Module)
CPU = torch.device("cpu")


def normal(*shape: int, seed: int, purpose: str = "input") -> Tensor:
    return torch.randn(*shape, generator=generator(CPU, seed, purpose), dtype=torch.float64)


def drawn(build: Callable[[], M], seed: int) -> M:
    """What `build` gives, every weight moved by 0.3 of a normal draw: what starts at zero or one is tested too."""
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        module = build().double().eval()
    rng = generator(CPU, seed, "moved")
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=rng, dtype=torch.float64)
    return module


def reads(function: Callable[[Tensor], Tensor], x_BTD: Tensor, *, seed: int) -> Tensor:
    """[T, T]: the greatest gradient of a random sum over output t of `function` (x [1, T, D] -> [1, T, E]) by input s."""
    x_BTD = x_BTD.detach().requires_grad_()
    y_BTE = function(x_BTD)
    said_BT = (y_BTE * normal(*y_BTE.shape, seed=seed, purpose="sum")).sum(-1)
    rows = [torch.autograd.grad(said, x_BTD, retain_graph=True)[0][0] for said in said_BT[0]]
    return torch.stack(rows).abs().amax(-1)


def distance(a: Tensor, b: Tensor) -> float:
    """max|a − b| / max(1, max|b|)."""
    return float((a - b).abs().max() / b.abs().max().clamp(min=1))
