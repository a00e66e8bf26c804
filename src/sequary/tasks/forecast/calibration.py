"""Where the intervals of a trained forecaster come from: its own quantiles, or its errors on the validation part."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from sequary.core.contracts import Forecasts
from sequary.data.panel import Floats, Panel
from sequary.data.scaling import Scaler
from sequary.data.windows import Windows
from sequary.tasks.forecast.conformal import Conformal, rank
from sequary.tasks.forecast.fitted import AT_ONCE, predicted
from sequary.tasks.forecast.metrics import mase_scale
from sequary.train.evaluation import moved
from sequary.train.learning import evaluating


def has_quantiles(model: Forecasts, source: Windows, probabilities: Sequence[float], where: torch.device) -> bool:
    batch = moved(source.batch(torch.zeros(1, dtype=torch.long)), where)
    try:
        with evaluating(model), torch.inference_mode():
            model.quantiles(model(batch), probabilities)
    except NotImplementedError:  # how the contract says that a model predicts points
        return False
    return True


def difficulties(known: Panel, scaler: Scaler) -> dict[str, Floats]:
    """[C] of each series: its MASE scale in training over its size there, by which errors of all series are alike.

    A channel that did not change in training tells of none: it gets the median of the channel, or of all of them, or 1.
    """
    size_SC = np.stack([scaler.values[s.id][1] for s in known.series])
    scale_SC = np.stack([mase_scale(s.values, known.frequency.season) for s in known.series])
    ratio_SC = scale_SC / np.where(size_SC > 0, size_SC, np.nan)
    usual = _median(ratio_SC, 1.0)
    usual_C = [_median(ratio_S, usual) for ratio_S in ratio_SC.T]
    found_SC = np.where(np.isnan(ratio_SC), usual_C, ratio_SC)
    return {s.id: found_C for s, found_C in zip(known.series, found_SC, strict=True)}


def _median(x: Floats, otherwise: float) -> float:
    known = x[~np.isnan(x)]
    return float(np.median(known)) if len(known) else otherwise


def calibrated(
    model: Forecasts,
    panel: Panel,
    scaler: Scaler,
    difficulty: Mapping[str, Floats],
    validation: Windows | None,
    horizon: int,
    where: torch.device,
) -> Conformal:
    """From the scaled errors over the validation windows, which are of `panel`, divided by each series' difficulty.

    A channel that is constant in `panel` has errors of 0 by construction: they tell nothing of the others'.
    """
    width = len(panel.channels)
    if validation is None:
        return Conformal.fit(np.empty((0, horizon, width)), np.empty((0, width)))
    unit_SC = np.stack([np.where(scaler.of(s)[1] > 0, difficulty[s.id], np.nan) for s in panel.series])
    errors: list[Floats] = []
    means = predicted(model, validation, (), where)
    for rows in torch.arange(len(validation)).split(AT_ONCE):
        batch = validation.batch(rows)
        assert batch.target is not None
        truth = batch.target.double()
        if batch.weight is not None:
            truth = truth.where(batch.weight, torch.nan)
        mean = np.stack([m for m, _ in itertools.islice(means, len(rows))])
        errors.append((truth.numpy() - mean) / unit_SC[validation.series[rows].numpy(), None])
    return thinned(Conformal.fit(np.concatenate(errors), np.ones(width)))


def thinned(conformal: Conformal, most: int = 199) -> Conformal:
    """At most 199 sizes a step, at even ranks: small enough to be saved, exact for shares that are multiples of 0.005."""

    def keep(size_N: Floats) -> Floats:
        if len(size_N) <= most:
            return size_N
        return size_N[rank(len(size_N), np.arange(1, most + 1) / (most + 1)) - 1]

    return dataclasses.replace(conformal, sizes=tuple(keep(size) for size in conformal.sizes))
