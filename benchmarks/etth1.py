"""ETTh1, 96 → 96: errors on the whole test set, mean of three seeds, settings chosen on validation.

    python benchmarks/etth1.py [--models dlinear,itransformer,patchtst,patchtst-336] [--seeds 3] [--tune]

Usual split (12, 4, 4 months of 30 days), standardised on the training part, every test window counted. `--tune` prints the
validation error of each setting instead; the settings below are the ones it chose. One thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sequary.core.catalogue import load
from sequary.core.contracts import Forecasts
from sequary.data.frames import read
from sequary.data.scaling import Scaler
from sequary.data.tables import understand
from sequary.data.windows import Bank, Windows
from sequary.tasks.forecasting import prepare
from sequary.tasks.training import altered
from sequary.train.evaluation import evaluate
from sequary.train.loop import fit

MONTH = 30 * 24
ENDS = (12 * MONTH, 16 * MONTH, 20 * MONTH)
HORIZON = 96
DATA = (
    Path(os.environ.get("SEQUARY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "ett" / "ETTh1.csv"
)
Settings = dict[str, Any]
TRAIN = "stages__0__train__"


@dataclasses.dataclass(frozen=True)
class Entry:
    system: str
    context: int
    chosen: Settings
    grid: dict[str, tuple[Any, ...]]
    bound: str
    """The MSE / MAE to reach, and Time-Series-Library's where it has one."""


ENTRIES = {
    "dlinear": Entry(
        "dlinear",
        96,
        {TRAIN + "lr": 1e-3, TRAIN + "steps": 4000, TRAIN + "evaluate_every": 200},
        {TRAIN + "lr": (3e-4, 1e-3, 3e-3), TRAIN + "weight_decay": (0.0, 0.1, 1.0)},
        "0.388 / 0.400 (public code 0.396 / 0.411)",
    ),
    "itransformer": Entry(
        "itransformer",
        96,
        {TRAIN + "lr": 3e-4, TRAIN + "weight_decay": 0.3, TRAIN + "steps": 2500, TRAIN + "evaluate_every": 125},
        {TRAIN + "lr": (1e-4, 3e-4, 1e-3), TRAIN + "weight_decay": (0.01, 0.3)},
        "0.389 / 0.407 (public code 0.394 / 0.409)",
    ),
    "patchtst": Entry(
        "patchtst",
        96,
        {TRAIN + "lr": 1e-3, TRAIN + "steps": 1500, TRAIN + "evaluate_every": 75},
        {TRAIN + "lr": (3e-4, 1e-3, 3e-3), TRAIN + "weight_decay": (0.01, 0.3)},
        "0.385 / 0.399 (public code 0.407 / 0.413)",
    ),
    "patchtst-336": Entry(
        "patchtst",
        336,
        {TRAIN + "lr": 1e-3, TRAIN + "steps": 1500, TRAIN + "evaluate_every": 75},
        {TRAIN + "lr": (3e-4, 1e-3), TRAIN + "weight_decay": (0.01, 0.3)},
        "0.376 / 0.400 (its paper 0.375 / 0.399)",
    ),
}


def sources(context: int) -> tuple[Any, list[Windows]]:
    """The panel, and windows of the training, validation and test part."""
    panel, _ = understand(read(DATA), source=str(DATA))
    panel = panel.cut([ENDS[2]])
    scaler = Scaler.fit(panel.cut([ENDS[0]]))
    bank = Bank.of(panel, scaler, before=context, after=HORIZON)
    parts: list[Windows] = []
    for first, last in ((context, ENDS[0]), (ENDS[0], ENDS[1]), (ENDS[1], ENDS[2])):
        edges = np.array([first]), np.array([last - HORIZON])
        parts.append(Windows.between(bank, context=context, horizon=HORIZON, first=edges[0], last=edges[1]))
    return panel, parts


def run(entry: Entry, settings: Settings, seed: int, *, judge_test: bool) -> tuple[float, float, float]:
    """Validation MSE, and MSE and MAE on the test part (NaN where it is not to be looked at)."""
    panel, (train, validation, test) = sources(entry.context)
    recipe = load(entry.system).recipe
    assert recipe is not None
    recipe = prepare(altered(recipe, settings), panel, context=entry.context, horizon=HORIZON)
    torch.manual_seed(seed)
    model = recipe.build()
    assert isinstance(model, Forecasts)
    fit(model, recipe.stages[0], train, validation, seed=seed)
    score = evaluate(model, recipe.stages[0].objective, validation, batch=512, seed=0)
    return (score, *errors(model, test)) if judge_test else (score, float("nan"), float("nan"))


@torch.no_grad()
def errors(model: Forecasts, windows: Windows) -> tuple[float, float]:
    """MSE and MAE over every window, step and channel."""
    squared = absolute = count = 0.0
    for rows in torch.arange(len(windows)).split(512):
        batch = windows.batch(rows)
        assert batch.target is not None
        gap = (model.mean(model(batch)) - batch.target).double()
        squared, absolute, count = (
            squared + float(gap.square().sum()),
            absolute + float(gap.abs().sum()),
            count + gap.numel(),
        )
    return squared / count, absolute / count


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--models", default=",".join(ENTRIES))
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--tune", action="store_true")
    asked = ask.parse_args()
    torch.set_num_threads(1)
    for name in asked.models.split(","):
        entry = ENTRIES[name]
        if asked.tune:
            for values in itertools.product(*entry.grid.values()):
                settings = entry.chosen | dict(zip(entry.grid, values, strict=True))
                score = run(entry, settings, 0, judge_test=False)[0]
                print(f"{name:<14} validation {score:.4f}  {dict(zip(entry.grid, values, strict=True))}", flush=True)
            continue
        began = time.perf_counter()
        found = [run(entry, entry.chosen, seed, judge_test=True) for seed in range(asked.seeds)]
        mse, mae = (statistics.mean(f[i] for f in found) for i in (1, 2))
        spread = statistics.stdev(f[1] for f in found) if len(found) > 1 else 0.0
        took = (time.perf_counter() - began) / len(found)
        print(
            f"{name:<14} MSE {mse:.4f} ± {spread:.4f}  MAE {mae:.4f}  {took:5.0f} s a seed  to reach {entry.bound}",
            flush=True,
        )


if __name__ == "__main__":
    main()
