"""Small tables and options for whole comparisons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl


def monthly(rows: int = 200, seed: int = 0) -> pl.DataFrame:
    """A trend, a season of twelve months and noise, with two gaps."""
    rng = np.random.default_rng(seed)
    at = np.arange(rows)
    y: list[float | None] = list(20 + 0.05 * at + 3 * np.sin(2 * np.pi * at / 12) + 0.4 * rng.normal(size=rows))
    y[30] = y[77] = None
    ds = pl.datetime_range(
        pl.datetime(2000, 1, 1), pl.datetime(2000, 1, 1).dt.offset_by(f"{rows - 1}mo"), "1mo", eager=True
    )
    return pl.DataFrame({"ds": ds, "y": y})


def own(folder: Path, name: str, head: str, *, horizon: str = "horizon") -> str:
    """A user's system file: DLinear with another head, whose horizon is what the data call `horizon`."""
    path = folder / name
    path.write_text(
        f"""
import os
import torch
from torch import nn
from sequary.core.contracts import Head
from sequary.core.part import FromData, part
from sequary.systems.forecasting.ltsf_linear import RECIPE as BASE


class Mine(Head):
    degree = 2

    def __init__(self, dim, *, horizon):
        super().__init__()
        self.map = nn.Linear(dim, horizon)

    def forward(self, hidden):
        {head}
        return self.map(hidden[:, :, 0]).transpose(1, 2)

    def loss(self, hidden, target, rng=None):
        return (self(hidden) - target).square()

    def mean(self, hidden):
        return self(hidden)


RECIPE = BASE.but(model__head=part(Mine, horizon=FromData("{horizon}")))
TUNE = {{"stages__0__train__lr": (1e-3,)}}
"""
    )
    return str(path)
