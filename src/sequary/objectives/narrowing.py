"""Learning delays from wide bumps, which find a gradient from afar, to narrow ones, which are delays.

Hammouamri, Khalfaoui-Hassani and Masquelier, Learning Delays in Spiking Neural Networks (arXiv 2306.17670).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.mixers.conv.delays import Delayed
from sequary.objectives.classify import ClassLoss


@dataclasses.dataclass(frozen=True, slots=True)
class Narrowing(ClassLoss):
    """The loss of a classifier whose delays have bumps of width `first` (`last` / `first`)^(p / `share`), `last` from p = `share` on.

    p = `progress` of training in 0 … 1, which the loop sets; evaluation is at 1. The width is written into the model, delays that
    have left the kernel are brought back to its ends.
    """

    first: float = 12.0
    last: float = 0.23
    share: float = 0.25
    progress: float = 1.0

    def at(self, progress: float) -> Narrowing:
        return dataclasses.replace(self, progress=progress)

    @torch.no_grad()
    def set(self, model: nn.Module) -> None:
        width = self.first * (self.last / self.first) ** min(1.0, self.progress / self.share)
        for conv in model.modules():
            if isinstance(conv, Delayed):
                conv.spread.fill_(width)
                conv.confine()

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        self.set(model)
        return ClassLoss.__call__(self, model, batch, rng)
