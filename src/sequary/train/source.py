"""Where batches come from."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from sequary.core.values import Batch


class Source(Protocol):
    """Rows that can be gathered a batch at a time, without Python for each one (windows as views, one index_select).

    The same rows always give the same batch: what is random belongs to the objective or to a hook, whose generator the
    checkpoint holds.
    """

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def batch(self, rows: Tensor) -> Batch:
        """The batch of `rows` [B] int64 on the CPU; the loop moves it to its device."""
        ...
