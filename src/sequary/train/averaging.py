"""Weights other than the last ones: their running average, and the best by validation."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and saved buffers by name, live; a tied tensor once, under its first name."""
    named: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        named.setdefault(id(tensor), (name, tensor))
    return dict(named.values())


class Average:
    """w̄ ← d · w̄ + (1 − d) · w after each step, d = min(decay, (1 + n) / (10 + n)) at the n-th.

    The smaller decay of the first steps lets short runs forget where they started.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.names = list(weights)
        self.live: list[Tensor] = list(weights.values())
        self.mean = [p.detach().clone() for p in self.live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.mean, self.live, weight)  # pyright: ignore[reportPrivateImportUsage]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The model carries the average inside, its own weights afterwards; no copy is made."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def apply(self) -> None:
        """For good."""
        for p, mean in zip(self.live, self.mean, strict=True):
            p.copy_(mean)

    def _swap(self) -> None:
        for i, p in enumerate(self.live):
            p.data, self.mean[i] = self.mean[i], p.data

    def state(self) -> dict[str, Tensor]:
        return dict(zip(self.names, self.mean, strict=True))


class Best:
    """The weights of the best evaluation, and how many have passed since."""

    def __init__(self) -> None:
        self.value, self.step, self.waited = math.inf, 0, 0
        self.weights: dict[str, Tensor] = {}

    def offer(self, value: float, step: int, module: nn.Module) -> None:
        if value < self.value:
            self.value, self.step, self.waited = value, step, 0
            self.weights = {n: t.detach().clone() for n, t in tensors(module).items()}
        else:
            self.waited += 1

    @torch.no_grad()
    def apply(self, module: nn.Module) -> None:
        for name, tensor in tensors(module).items():
            tensor.copy_(self.weights[name])
