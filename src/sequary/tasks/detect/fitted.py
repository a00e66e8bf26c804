"""A fitted detector: a model, the scale of its data, its threshold, and the record of its training."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.data.panel import Floats, Panel
from sequary.data.scaling import Scaler
from sequary.data.windows import Bank, Ints, Windows
from sequary.tasks.detect.alarms import Threshold
from sequary.tasks.fitted import Fit
from sequary.train.evaluation import moved
from sequary.train.learning import evaluating

AT_ONCE = 256
"""Windows in one forward pass of inference."""
OVERLAP = 4
"""Windows that hold a step."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Fit):
    task: ClassVar[str] = "detect"
    scaler: Scaler
    threshold: Threshold
    schema: Panel
    """The panel of the training data without its series: columns, frequency, layout."""

    @property
    def delay(self) -> int:
        """Later steps that a step's score depends on. Until they are there it is a first word, which they may change."""
        return self.context - 1

    def scores(self, panel: Panel) -> list[Floats]:
        """[T] for each series: how probable it is that a step is abnormal; NaN where nothing of it is known.

        Series need not be those of the training (each is then scaled by all of its own rows); channels must.

        Raises:
            ValueError: other channels.
        """
        if panel.channels != self.schema.channels:
            raise ValueError(f"fitted on channels {self.schema.channels}, given {panel.channels}; fit again on these")
        return scores(self.model, panel, self.scaler, self.context, torch.device(self.device))


def scores(model: Model, panel: Panel, scaler: Scaler, context: int, where: torch.device) -> list[Floats]:
    """Mean over the windows that hold a step; each weighs by the steps from it to the window's nearer end.

    Windows begin every `context` / `OVERLAP` steps from the first of a series on, so that no later row moves them, and one
    more ends with the series. That one is left out for steps that all others already hold with `context` - 1 steps after them.
    """
    bank = Bank.of(panel, scaler, before=context, after=context)
    windows, extra_N = _laid(bank, context)
    step_T = torch.arange(context)
    near_T = torch.minimum(step_T + 1, context - step_T).double()
    total, weight = torch.zeros(2, len(bank.values), dtype=torch.float64)
    with evaluating(model), torch.inference_mode():
        for rows in torch.arange(len(windows)).split(AT_ONCE):
            said_BT: Tensor = model.head.mean(model(moved(windows.batch(rows), where)).hidden).double().cpu()
            near_BT = near_T.repeat(len(rows), 1)
            near_BT[extra_N[rows], 0] = 0
            at = (windows.first[rows][:, None] + step_T).flatten()
            total.index_add_(0, at, (said_BT * near_BT).flatten())
            weight.index_add_(0, at, near_BT.flatten())
    mean = np.where(bank.observed.any(1).numpy(), (total / weight).numpy(), np.nan)
    return [mean[start : start + length] for start, length in zip(bank.starts, bank.lengths, strict=True)]


def _laid(bank: Bank, context: int) -> tuple[Windows, Tensor]:
    """The windows, and which of them is the one that ends with its series."""
    stride = max(1, context // OVERLAP)
    last = np.maximum(bank.lengths - context, 0)
    grids: list[Ints] = [np.arange(0, stop + 1, stride) for stop in last]
    extra = [grid[-1] < stop for grid, stop in zip(grids, last, strict=True)]
    firsts = [np.append(g, s) if e else g for g, s, e in zip(grids, last, extra, strict=True)]
    series = np.repeat(np.arange(len(firsts)), [len(f) for f in firsts])
    ends = np.cumsum([len(f) for f in firsts]) - 1
    is_extra = np.zeros(len(series), bool)
    is_extra[ends] = extra
    windows = Windows(bank, context=context, horizon=0, series=series, origins=np.concatenate(firsts) + context)
    return windows, torch.from_numpy(is_extra)
