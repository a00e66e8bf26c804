"""A fitted classifier: a model, the scale of its data, its temperature, and the record of its training."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sequary.core.contracts import Model
from sequary.data.panel import Floats
from sequary.data.scaling import Pair
from sequary.tasks.classify.labelled import Form, Ints, Labelled
from sequary.tasks.classify.rows import Rows
from sequary.tasks.fitted import Fit
from sequary.train.evaluation import moved
from sequary.train.learning import evaluating

AT_ONCE = 256
"""Series in one forward pass of inference."""
RANGE = (0.05, 20.0)
"""Of the temperature."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Fit):
    task: ClassVar[str] = "classify"
    classes: tuple[str, ...]
    scale: Pair
    temperature: float
    form: Form

    def proba(self, data: Labelled) -> Floats:
        """[N, classes] softmax(logits / temperature)."""
        if data.form.channels != self.form.channels:
            what = f"fitted on channels {self.form.channels}, given {data.form.channels}"
            raise ValueError(f"{what}; fit again on these")
        rows = Rows.of(data, self.scale, self.context)
        return softmax(logits(self.model, rows, torch.device(self.device)), self.temperature)


def logits(model: Model, rows: Rows, where: torch.device) -> Floats:
    """[N, classes]."""

    def of(some: Tensor) -> Tensor:
        return model.head(model(moved(rows.batch(some), where)).hidden).double().cpu()

    with evaluating(model), torch.inference_mode():
        return torch.cat([of(some) for some in torch.arange(len(rows)).split(AT_ONCE)]).numpy()


def softmax(logits_NK: Floats, temperature: float) -> Floats:
    raised = np.exp((logits_NK - logits_NK.max(1, keepdims=True)) / temperature)
    return raised / raised.sum(1, keepdims=True)


def calibrated(logits_NK: Floats, labels_N: Ints) -> float:
    """The temperature with the least log loss (Guo et al., arXiv 1706.04599, section 4.2).

    Against labels of which each is another with probability 1 / (N + 2): no N series show that a classifier never errs.
    """
    count, classes = logits_NK.shape
    wanted = np.full((count, classes), 1 / (count + 2) / classes)
    wanted[np.arange(count), labels_N] += 1 - 1 / (count + 2)

    def loss(log_t: float) -> float:
        scaled = (logits_NK - logits_NK.max(1, keepdims=True)) / np.exp(log_t)
        return float((wanted * (np.log(np.exp(scaled).sum(1, keepdims=True)) - scaled)).sum(1).mean())

    low, high = np.log(RANGE)
    found: Any = minimize_scalar(loss, bounds=(low, high), method="bounded")
    return float(np.exp(found.x))
