"""Where the intervals of a trained imputer come from: its errors on known cells that are hidden from it."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from sequary.core.contracts import Model
from sequary.data.panel import Panel
from sequary.data.scaling import Scaler
from sequary.data.windows import Ints
from sequary.tasks.impute.fitted import estimates
from sequary.tasks.impute.gaps import away, hidden, lengths
from sequary.tasks.impute.intervals import Intervals
from sequary.train.seeds import derive

ROUNDS = 4
"""How often cells of the held-out part are hidden, a fifth of the steps each time."""
RATE = 0.2


def calibrated(
    model: Model, panel: Panel, scaler: Scaler, first: Ints, context: int, seed: int, where: torch.device
) -> Intervals:
    """Cells from step `first` of each series on are hidden by gaps like those of the table, estimated, and compared."""
    rng, long = np.random.default_rng(derive(seed, "intervals")), lengths(panel)
    held = [i for i, series in enumerate(panel.series) if first[i] < len(series)]
    errors, channels, distances = [np.empty(0)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for _ in range(ROUNDS if held else 0):
        part = [panel.series[i] for i in held]
        known = [np.isfinite(s.values) for s in part]
        gone = [np.zeros_like(k) for k in known]
        for k, g, i in zip(known, gone, held, strict=True):
            g[first[i] :] = hidden(k[first[i] :], RATE, long, rng)
        seen = [dataclasses.replace(s, values=np.where(g, np.nan, s.values)) for s, g in zip(part, gone, strict=True)]
        said = estimates(model, dataclasses.replace(panel, series=tuple(seen)), scaler, context, where)
        for series, estimate, k, g in zip(part, said, known, gone, strict=True):
            size_C = scaler.of(series)[1]
            row_N, channel_N = np.nonzero(g & (size_C > 0))
            errors.append((series.values - estimate)[row_N, channel_N] / size_C[channel_N])
            channels.append(channel_N)
            distances.append(away(k & ~g)[row_N, channel_N])
    error_N, channel_N, away_N = np.concatenate(errors), np.concatenate(channels), np.concatenate(distances)
    return Intervals.fit(error_N, channel_N, away_N, len(panel.channels))
