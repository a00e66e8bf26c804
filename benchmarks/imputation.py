"""ETTh1 with blocks of a day missing, each channel by itself: error of what is filled in, in deviations of the channel.

    python benchmarks/imputation.py [--rates 10,30,50] [--block 24] [--steps 1500] [--seeds 1] [--rows N]

Everybody is given the table without the hidden values and fills it; SAITS (its recipe, a window of two days) learns from what is
left. Levels 80 and 95: share of hidden values inside its intervals. One thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from sequary.claims.forecast_gain import shared
from sequary.compare.hiding import seen
from sequary.core.catalogue import load
from sequary.data.frames import read
from sequary.data.panel import Floats, Panel
from sequary.data.scaling import moments
from sequary.data.tables import understand
from sequary.tasks.impute import floors, rivals
from sequary.tasks.impute.gaps import Bools, hidden
from sequary.tasks.impute.train import targets, train
from sequary.tasks.training import Training

LEVELS = (0.8, 0.95)
ORDINARY: dict[str, Callable[[Panel], list[Floats]]] = {
    "linear": floors.linear,
    "last-value": floors.last_value,
    "mean": floors.mean,
    "seasonal-mean": floors.seasonal_mean,
    "nearest-neighbours": lambda panel: rivals.Neighbours().fill(panel, 0),
    "regressions": lambda panel: rivals.Regressions().fill(panel, 0),
}


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--rates", default="10,30,50")
    ask.add_argument("--block", type=int, default=24)
    ask.add_argument("--steps", type=int, default=1500)
    ask.add_argument("--seeds", type=int, default=1)
    ask.add_argument("--rows", type=int, default=None)
    asked = ask.parse_args()
    torch.set_num_threads(1)
    path = shared("ett/ETTh1.csv")
    whole = targets(understand(read(path)[: asked.rows], source=str(path))[0])
    for rate in map(int, asked.rates.split(",")):
        truth = whole.series[0].values
        gone = hidden(np.isfinite(truth), rate / 100, np.array([asked.block]), np.random.default_rng(rate))
        table = seen(whole, [gone])
        print(f"{rate} % hidden, blocks of {asked.block} steps: {gone.sum():,} values", flush=True)
        for name, fill in ORDINARY.items():
            began = time.perf_counter()
            _print(name, [error(fill(table)[0], truth, table, gone)], time.perf_counter() - began, "")
        began, found, inside = time.perf_counter(), list[tuple[float, float]](), list[Floats]()
        for seed in range(asked.seeds):
            recipe = load("saits").recipe
            assert recipe is not None
            (filled,) = train(recipe, table, Training(seed=seed, steps=asked.steps)).fill(table, LEVELS)
            found.append(error(filled.values, truth, table, gone))
            miss = np.abs(filled.values - truth)
            inside.append(np.array([(miss <= filled.half[c])[gone].mean() for c in LEVELS]))
        low, high = 100 * np.mean(inside, axis=0)
        _print("saits", found, time.perf_counter() - began, f"  in 80 %: {low:.0f} %, in 95 %: {high:.0f} %")


def error(filled: Floats, truth: Floats, table: Panel, gone: Bools) -> tuple[float, float]:
    """MAE and RMSE over the hidden values, in deviations of what is left of each channel."""
    miss = ((filled - truth) / moments(table.series[0].values)[1])[gone]
    return float(np.abs(miss).mean()), float(np.sqrt((miss**2).mean()))


def _print(name: str, found: list[tuple[float, float]], seconds: float, more: str) -> None:
    mae, rmse = (statistics.mean(f[i] for f in found) for i in (0, 1))
    print(f"  {name:<20} MAE {mae:.3f}  RMSE {rmse:.3f}  {seconds:6.1f} s{more}", flush=True)


if __name__ == "__main__":
    main()
