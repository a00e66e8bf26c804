"""A fitted imputer: a model, the scale of its data, its intervals, and the record of its training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.data.panel import Floats, Panel
from sequary.data.scaling import Scaler
from sequary.data.windows import Bank, Ints, Windows
from sequary.tasks.fitted import Fit
from sequary.tasks.impute.gaps import Bools, away
from sequary.tasks.impute.intervals import Intervals
from sequary.train.evaluation import moved
from sequary.train.learning import evaluating

AT_ONCE = 256
"""Windows in one forward pass of inference."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """One series, [T, C]."""

    values: Floats
    """Known cells as they came, bit for bit; estimates where they were missing."""
    missing: Bools
    half: Mapping[float, Floats]
    """Share -> half width of the interval of a filled cell; NaN at known ones."""


class NothingKnown(ValueError):
    """A channel of a series without a value, here or in training."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Fit):
    task: ClassVar[str] = "impute"
    scaler: Scaler
    intervals: Intervals
    schema: Panel
    """The panel of the training data without its series: columns, frequency, layout."""

    def fill(self, panel: Panel, shares: Sequence[float] = ()) -> list[Filled]:
        """Every missing cell of each series. Series need not be those of the training; channels must.

        Raises:
            ValueError: other channels, or intervals where nothing was held out to make them from.
            NothingKnown: a channel of which nothing is known, here or from training.
        """
        if panel.channels != self.schema.channels:
            raise ValueError(f"fitted on channels {self.schema.channels}, given {panel.channels}; fit again on these")
        if shares and not self.intervals.known:
            raise ValueError("the table of training was too short to hold cells out for intervals; leave --level out")
        said = estimates(self.model, panel, self.scaler, self.context, torch.device(self.device))
        found: list[Filled] = []
        for series, estimate in zip(panel.series, said, strict=True):
            missing = np.isnan(series.values)
            size_C = self.scaler.of(series)[1]
            half = self.intervals.half(away(~missing), shares) if shares else {}
            found.append(
                Filled(
                    values=np.where(missing, estimate, series.values),
                    missing=missing,
                    half={c: np.where(missing, size_C * w, np.nan) for c, w in half.items()},
                )
            )
        return found


def estimates(model: Model, panel: Panel, scaler: Scaler, context: int, where: torch.device) -> list[Floats]:
    """[T, C] of each series, NaN in windows without a gap, which are not looked at.

    Windows overlap by half. Where two hold a cell, each weighs as much as it knows of the cell's surroundings: by the steps to
    its nearer end.
    """
    pairs = [scaler.of(series) for series in panel.series]
    for series, (_, size) in zip(panel.series, pairs, strict=True):
        _check_known(panel, series.id, np.isnan(series.values).all(0) & ~(size > 0))
    bank = Bank.of(panel, scaler, before=context, after=context)
    windows = _with_gaps(bank, context)
    total, weight = torch.zeros(bank.values.shape, dtype=torch.float64), torch.zeros(len(bank.values), 1).double()
    step_T = torch.arange(context)
    near_T = torch.minimum(step_T + 1, context - step_T).double()
    with evaluating(model), torch.inference_mode():
        # No window splits into one empty piece, which a model need not take.
        for rows in torch.arange(len(windows)).split(AT_ONCE) if len(windows) else ():
            batch = moved(windows.batch(rows), where)
            said_BTC: Tensor = model.head.mean(model(batch).hidden).double().cpu()
            at = (windows.first[rows][:, None] + step_T).flatten()
            total.index_add_(0, at, (said_BTC * near_T[:, None]).flatten(0, 1))
            weight.index_add_(0, at, near_T.repeat(len(rows))[:, None])
    mean = (total / weight).numpy()
    return [
        shift + size * mean[start : start + len(series)]
        for series, start, (shift, size) in zip(panel.series, bank.starts, pairs, strict=True)
    ]


def _with_gaps(bank: Bank, context: int) -> Windows:
    """Windows that overlap by half, the last one at the end of its series, as far as something is missing in them."""
    spots = [_starts(int(n), context) for n in bank.lengths]
    series = np.repeat(np.arange(len(spots)), [len(s) for s in spots])
    first: Ints = np.concatenate(spots)
    gaps = np.concatenate([[0], np.cumsum((~bank.observed).any(1).numpy())])
    start = bank.starts[series] + first
    stop = bank.starts[series] + np.minimum(first + context, bank.lengths[series])
    use = gaps[stop] > gaps[start]
    return Windows(bank, context=context, horizon=0, series=series[use], origins=first[use] + context)


def _starts(steps: int, context: int) -> Ints:
    last = max(0, steps - context)
    return np.unique(np.append(np.arange(0, last, max(1, context // 2)), last))


def _check_known(panel: Panel, id: str, empty_C: Bools) -> None:
    for name, empty in zip(panel.channels, empty_C, strict=True):
        if empty:
            raise NothingKnown(f"series {id!r}, column {name!r}: no value is known, here or in training; leave it out")
