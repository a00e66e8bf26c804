"""What the files oracles_*.py share: where their entries are kept, their random weights and inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Pairs = list[tuple[Tensor, Tensor]]


class Oracles(dict[str, tuple[str, Callable[[], Pairs]]]):
    """Theirs, by name -> (our part or op, both outputs)."""

    def __init__(self, package: str) -> None:
        super().__init__()
        self.package = package

    def of(self, theirs: str, ours: str) -> Callable[[Callable[[], Pairs]], Callable[[], Pairs]]:
        def kept(run: Callable[[], Pairs]) -> Callable[[], Pairs]:
            self[f"{self.package}' `{theirs}`"] = (f"`{ours}`", run)
            return run

        return kept


def noisy(module: nn.Module) -> Any:
    """With noise on every weight, so that a missing bias or norm shows."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.3 * torch.randn_like(weight) + (1 if weight.dim() == 1 else 0))
    return module.eval()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shown(real_BT: Tensor) -> Tensor:
    """[B, 1, 1, T] what their attentions add to their scores: 0 at real keys."""
    return torch.where(real_BT, 0.0, torch.finfo(torch.float32).min)[:, None, None, :]
