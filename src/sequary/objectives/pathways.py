"""Training on random pathways through attention (Hussain et al., arXiv 2306.01705)."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.contracts import Model, Objective
from sequary.core.values import Batch, Loss
from sequary.mixers.attention.pathways import pathways
from sequary.objectives.tokens import NextToken


@dataclasses.dataclass(frozen=True, slots=True)
class OnPathways:
    """`objective` with the keys of every `PathwayAttention` drawn; in eval mode, as it is: judged is the dense model."""

    objective: Objective = NextToken()

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        if not model.training:
            return self.objective(model, batch, rng)
        with pathways(model):
            return self.objective(model, batch, rng)
