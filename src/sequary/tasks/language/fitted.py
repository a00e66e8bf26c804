"""A fitted language model of bytes: how many bits each further byte costs."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.values import Batch
from sequary.data.texts import Bytes
from sequary.tasks.fitted import Fit
from sequary.train.evaluation import moved
from sequary.train.learning import evaluating

Floats = NDArray[np.float64]
AT_ONCE = 16
"""Windows in one forward pass of inference."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Fit):
    task: ClassVar[str] = "language"

    def bits(self, data: Bytes, after: Bytes | None = None) -> Floats:
        """[N] −log2 p of each byte of `data`, given the bytes before it, those of `after` first. Deterministic.

        Windows of `context` bytes overlap by half: each byte is scored once, in the first window that holds it, so all
        but those of the first window have at least half a context before them. The very first byte, where `after` is
        not given, costs 8 bits.
        """
        if not len(data):
            raise ValueError("there is no byte to score; give at least one")
        size, step = self.context, max(1, self.context // 2)
        before = np.empty(0, np.uint8) if after is None else after[-size:]
        stream = np.concatenate([before, data])
        cost = np.full(len(stream), 8.0)
        last = len(stream) - 1
        ends = np.minimum(size + step * np.arange(1 + -(-max(0, last - size) // step)), last)
        done = 0  # the last byte that is scored
        padded = torch.from_numpy(np.concatenate([stream, np.zeros(size, np.uint8)])).long()
        for group in np.split(ends, np.arange(AT_ONCE, len(ends), AT_ONCE)):
            first = torch.from_numpy(np.maximum(group - size, 0))
            window = padded[first[:, None] + torch.arange(size + 1)]
            bits = _bits(self.model, window, torch.device(self.device))
            for start, end, row in zip(first.tolist(), group.tolist(), bits, strict=True):
                cost[done + 1 : end + 1] = row[done - start : end - start]
                done = end
        return cost[len(before) :]

    def bits_per_byte(self, data: Bytes, after: Bytes | None = None) -> float:
        """The mean of `bits`."""
        return float(self.bits(data, after).mean())


@torch.inference_mode()
def _bits(model: Model, window: Tensor, where: torch.device) -> Floats:
    """[B, T] bits of every byte of the windows [B, T + 1] but the first."""
    with evaluating(model):
        batch = moved(Batch(values=window[:, :-1], target=window[:, 1:]), where)
        assert batch.target is not None
        return model.head.loss(model(batch).hidden, batch.target).double().cpu().numpy() / math.log(2)
