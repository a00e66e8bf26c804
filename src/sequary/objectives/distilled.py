"""Sequence-level distillation (Kim & Rush, arXiv 1606.07947, section 3.2): a student learns the outputs of a teacher."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.contracts import Decoder, Model
from sequary.core.values import Batch


@torch.no_grad()
def retold(teacher: Model, batch: Batch, decoder: Decoder, rng: torch.Generator, *, end: int | None = None) -> Batch:
    """`batch` with values and target [B, T'] that the teacher decodes from the source and the first value of each row.

    The decoder says how many symbols. What follows the first `end` has weight 0.
    """
    prompt = dataclasses.replace(batch, values=batch.values[:, :1], observed=None, target=None, weight=None)
    raw = decoder(teacher, prompt, rng).raw
    target = raw[:, 1:]
    over = torch.zeros_like(target) if end is None else (target == end).long()
    weight = (over.cumsum(1) - over == 0).float()
    return dataclasses.replace(batch, values=raw[:, :-1], observed=None, target=target, weight=weight)
