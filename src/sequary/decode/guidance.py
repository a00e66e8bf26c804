"""Classifier-free guidance: how far to move from what no class says to what the class says (Ho & Salimans, arXiv 2207.12598)."""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

import torch
from torch import Tensor

from sequary.core.values import Batch
from sequary.models.prior import Prior


class Guidance(Protocol):
    """The answer is without + weight · (with − without); 1 is no guidance."""

    def weight(self, done: float) -> float:
        """`done`: how much of the image is known, 0 to 1."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    w: float = 1.0

    def weight(self, done: float) -> float:
        return self.w


@dataclasses.dataclass(frozen=True, slots=True)
class Growing:
    """From 1 to `w`, in proportion to what is known (VAR, MAR)."""

    w: float = 2.5

    def weight(self, done: float) -> float:
        return 1 + (self.w - 1) * done


@dataclasses.dataclass(frozen=True, slots=True)
class PowerCosine:
    """From 1 to `w` as (1 − cos(π · done^power)) / 2 (RAR)."""

    w: float = 4.0
    power: float = 2.75

    def weight(self, done: float) -> float:
        return 1 + (self.w - 1) * (1 - math.cos(math.pi * done**self.power)) / 2


UNGUIDED = Constant(1.0)


def doubled(prior: Prior, prompt: Batch) -> Batch:
    """Rows without tokens: those of the prompt with their classes, then the same with none."""
    classes = prior.condition(prompt)
    cond = torch.cat((classes, torch.full_like(classes, prior.classes)))
    return Batch(values=classes.new_zeros(len(cond), 0), cond=cond)


def guided(logits_2B: Tensor, weight: float) -> Tensor:
    """[2B, …] with and without class -> [B, …]."""
    given, without = logits_2B.chunk(2)
    return without + weight * (given - without)
