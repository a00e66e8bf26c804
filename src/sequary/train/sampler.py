"""Which rows come when."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.train.seeds import generator

CPU = torch.device("cpu")


class Sampler:
    """Epoch after epoch, each a permutation drawn from (seed, epoch) alone, cut into batches of one size.

    A batch may hold the end of one epoch and the start of the next, so that every row is seen equally often and none is
    dropped. Step `k` starts at row `offset` of `epoch`, with epoch, offset = divmod(k · batch, size): the number of the
    step is all that a resume needs.
    """

    def __init__(self, size: int, batch: int, seed: int) -> None:
        if size < 1:
            raise ValueError("the source has no rows to learn from; give it more data or a shorter window")
        self.size, self.batch, self.seed = size, min(batch, size), seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def rows(self, step: int) -> Tensor:
        """[batch] int64: the rows of step `step`, counted from 0."""
        epoch, offset = divmod(step * self.batch, self.size)
        head = self.order(epoch)[offset : offset + self.batch]
        missing = self.batch - len(head)
        return torch.cat([head, self.order(epoch + 1)[:missing]]) if missing else head

    def order(self, epoch: int) -> Tensor:
        """[size] int64: a permutation; the last one is kept."""
        if epoch != self._epoch:
            self._order = torch.randperm(self.size, generator=generator(CPU, self.seed, "epoch", epoch))
            self._epoch = epoch
        return self._order
