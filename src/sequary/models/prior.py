"""What models over an image's tokens have in common: classes, and what a head reads where."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.values import Batch


class Prior(Model):
    """values = what the tokenizer's `inputs` gives -> hidden [B, T, D], whose head reads at t the token *at* t.

    `batch.cond` [B] holds classes 0 … `classes` − 1; `classes` itself means none, and so does no `cond`.
    """

    classes: int

    def condition(self, batch: Batch) -> Tensor:
        """[B] classes."""
        if batch.cond is not None:
            return batch.cond
        return torch.full((batch.values.shape[0],), self.classes, device=batch.values.device)


def class_table(classes: int, dim: int) -> nn.Embedding:
    """One vector for each class, and a last one for none."""
    table = nn.Embedding(classes + 1, dim)
    nn.init.normal_(table.weight, std=0.02)
    return table


def places(*shape: int) -> nn.Parameter:
    """Learnt positions."""
    return nn.Parameter(torch.randn(*shape) * 0.02)
