"""A panel as tensors, and the windows of it that models learn from: looked at as views, gathered a batch at a time."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequary.core.values import Batch
from sequary.data.panel import Panel
from sequary.data.scaling import Scaler, scaled

Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """All series, scaled, one after another in R rows. Each has `before` empty rows in front and `after` behind it.

    So a window may begin before its series does, and end after it: it finds rows where nothing is observed, never
    another series.
    """

    values: Tensor
    """[R, C] float32; 0 where missing."""
    observed: Tensor
    """[R, C] bool."""
    past: Tensor
    """[R, P]."""
    future: Tensor
    """[R, K]; its rows go on behind the series as far as the covariates do."""
    static: Tensor
    """[S, n]."""
    starts: Ints
    """[S] where row 0 of each series stands."""
    lengths: Ints
    """[S] steps of each series."""
    before: int
    after: int

    @classmethod
    def of(cls, panel: Panel, scaler: Scaler, *, before: int, after: int) -> Bank:
        lengths = np.array([len(s) for s in panel.series], np.int64)
        room = lengths + before + after
        starts = np.cumsum(room) - room + before
        total = int(room.sum())
        values = np.zeros((total, len(panel.channels)), np.float32)
        observed = np.zeros(values.shape, bool)
        past = np.broadcast_to(scaler.past.missing, (total, len(panel.past))).astype(np.float32, order="C")
        future = np.broadcast_to(scaler.future.missing, (total, len(panel.future))).astype(np.float32, order="C")
        for series, start in zip(panel.series, starts, strict=True):
            stop = start + len(series)
            known = np.isfinite(series.values)
            values[start:stop] = np.where(known, scaled(series.values, scaler.of(series)), 0.0)
            observed[start:stop] = known
            past[start:stop] = scaler.past(series.past)
            ahead = series.future[: len(series) + after]
            future[start : start + len(ahead)] = scaler.future(ahead)
        static = scaler.static(np.stack([s.static for s in panel.series])).astype(np.float32)
        tensors = [torch.from_numpy(array) for array in (values, observed, past, future, static)]
        return cls(
            **dict(zip(("values", "observed", "past", "future", "static"), tensors, strict=True)),
            starts=starts,
            lengths=lengths,
            before=before,
            after=after,
        )


class Windows:
    """`context` steps that are known and `horizon` steps that follow, at N origins; a `Source` of the training loop.

    An origin o means: known are rows < o of the series, asked for are rows o … o + horizon − 1. A short history is padded
    on the left, and a target beyond the end weighs nothing.
    """

    def __init__(self, bank: Bank, *, context: int, horizon: int, series: Ints, origins: Ints) -> None:
        if context > bank.before or horizon > bank.after:
            raise ValueError(
                f"context={context}, horizon={horizon} reach beyond the {bank.before} rows before and {bank.after} after"
                f" each series; make the bank with before={context}, after={horizon}"
            )
        self.bank, self.context, self.horizon = bank, context, horizon
        self.series = torch.from_numpy(series)
        self.first = torch.from_numpy(bank.starts[series] + origins - context)
        """[N] row of the bank at which each window begins."""
        length = context + horizon
        self._values = _views(bank.values, length)
        self._observed = None if _all_observed(bank, self.first, length) else _views(bank.observed, length)
        self._past = _views(bank.past, context) if bank.past.shape[1] else None
        self._future = _views(bank.future, length) if bank.future.shape[1] else None

    @classmethod
    def between(cls, bank: Bank, *, context: int, horizon: int, first: Ints, last: Ints, stride: int = 1) -> Windows:
        """All origins of each series s from `first[s]` to `last[s]`, counted back from the last by `stride`.

        Windows in which nothing is known, or no target, are left out.
        """
        count = np.maximum((last - first) // stride + 1, 0)
        series = np.repeat(np.arange(len(first)), count)
        nth = np.arange(len(series)) - np.repeat(np.cumsum(count) - count, count)
        origins = last[series] - (count[series] - 1 - nth) * stride
        known = np.concatenate([[0], np.cumsum(bank.observed.any(1).numpy())])
        at = bank.starts[series] + origins
        use = (known[at] > known[at - context]) & (known[at + horizon] > known[at])
        return cls(bank, context=context, horizon=horizon, series=series[use], origins=origins[use])

    def __len__(self) -> int:
        return len(self.first)

    def batch(self, rows: Tensor) -> Batch:
        """Values, masks, target and covariates of the windows `rows` [B]; one gather for each tensor."""
        first, size = self.first.index_select(0, rows), len(rows)
        length, channels = self.context + self.horizon, self.bank.values.shape[1]
        window = self._values.index_select(0, first).view(size, length, channels)
        observed = weight = None
        if self._observed is not None:
            both = self._observed.index_select(0, first).view(size, length, channels)
            observed, weight = both[:, : self.context], both[:, self.context :]
        past, future = self._past, self._future
        return Batch(
            values=window[:, : self.context],
            observed=observed,
            target=window[:, self.context :],
            weight=weight,
            static=self.bank.static.index_select(0, self.series.index_select(0, rows))
            if self.bank.static.shape[1]
            else None,
            past=None if past is None else past.index_select(0, first).view(size, self.context, -1),
            future=None if future is None else future.index_select(0, first).view(size, length, -1),
        )


def _views(rows_RK: Tensor, length: int) -> Tensor:
    """[R − length + 1, length · K]: view r begins at row r. Flat, so that a gather copies whole windows at once."""
    width = rows_RK.shape[1]
    return rows_RK.view(-1).unfold(0, length * width, width)


def _all_observed(bank: Bank, first: Tensor, length: int) -> bool:
    """Whether no window has a gap anywhere: then models are spared the masks."""
    gaps = torch.cat((torch.zeros(1, dtype=torch.long), (~bank.observed).any(1).long().cumsum(0)))
    return bool((gaps[first + length] == gaps[first]).all())
