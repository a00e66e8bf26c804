"""ETTh1, 96 → 96: errors on the whole test set, mean of three seeds.

    python benchmarks/etth1.py [--models dlinear,dlinear-authors,itransformer,patchtst,patchtst-336] [--seeds 3] [--tune] [--spans 8,12]

Usual split (12, 4, 4 months of 30 days), standardised on the training part, every test window counted. One thread. `--tune` prints
instead, for each setting of the grid, the MSE on months that neither training nor early stopping saw, before the test part: months 11
and 12 (trained on 8, stopped by 9 and 10) and months 15 and 16 (trained on 12, stopped by 13 and 14), mean of both and of the seeds;
`--spans` names other months to train until.
Windows that chose a checkpoint cannot also judge its setting, since the least of many noisy looks flatters the noisiest rate; and one
span is one season. `chosen` are the settings that it found least. dlinear-authors has those of its
authors' script for ETTh1 instead: ten epochs, the rate halved after each.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import time
from typing import Any

import torch

from sequary.claims.forecast_gain import MONTH, etth1
from sequary.core.catalogue import load

HORIZON = 96
USUAL = (12, 16, 20)
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
        {
            TRAIN + "lr": 3e-3,
            TRAIN + "weight_decay": 1.0,
            TRAIN + "steps": 4000,
            TRAIN + "evaluate_every": 200,
            TRAIN + "patience": 20,
        },
        {TRAIN + "lr": (3e-4, 1e-3, 3e-3, 1e-2), TRAIN + "weight_decay": (0.01, 0.1, 0.3, 1.0, 3.0)},
        "0.388 / 0.400 (public code 0.396 / 0.411)",
    ),
    "dlinear-authors": Entry(
        "dlinear",
        96,
        {
            TRAIN + "lr": 5e-3,
            TRAIN + "weight_decay": 0.0,
            TRAIN + "clip": None,
            TRAIN + "schedule": "halving",
            TRAIN + "steps": 2640,
            TRAIN + "evaluate_every": 264,
            TRAIN + "patience": 3,
        },
        {},
        "0.388 / 0.400 (public code 0.396 / 0.411)",
    ),
    "itransformer": Entry(
        "itransformer",
        96,
        {TRAIN + "lr": 1e-4, TRAIN + "weight_decay": 0.3, TRAIN + "steps": 2500, TRAIN + "evaluate_every": 125},
        {TRAIN + "lr": (1e-4, 3e-4, 1e-3), TRAIN + "weight_decay": (0.01, 0.3)},
        "0.389 / 0.407 (public code 0.394 / 0.409)",
    ),
    "patchtst": Entry(
        "patchtst",
        96,
        {TRAIN + "lr": 1e-3, TRAIN + "steps": 1000, TRAIN + "evaluate_every": 100},
        {TRAIN + "lr": (3e-4, 1e-3, 3e-3)},
        "0.385 / 0.399 (public code 0.407 / 0.413)",
    ),
    "patchtst-336": Entry(
        "patchtst",
        336,
        {TRAIN + "lr": 3e-4, TRAIN + "steps": 1200, TRAIN + "evaluate_every": 100},
        {TRAIN + "lr": (1e-4, 3e-4, 1e-3)},
        "0.376 / 0.400 (its paper 0.375 / 0.399)",
    ),
}


def run(entry: Entry, settings: Settings, seed: int, months: tuple[int, int, int]) -> tuple[float, float]:
    """MSE and MAE on the last of the three parts that end after `months`."""
    recipe = load(entry.system).recipe
    assert recipe is not None
    train, stop, judge = (m * MONTH for m in months)
    data = dataclasses.replace(etth1(entry.context, HORIZON), ends=(train, stop, judge))
    found = data.errors(data.run(recipe, settings, seed)[0])
    return found["mse"], found["mae"]


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--models", default=",".join(ENTRIES))
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--tune", action="store_true")
    ask.add_argument("--spans", default="8,12")
    asked = ask.parse_args()
    # Of tuning, in months: trained until, stopped by, judged on what lies before the last.
    spans = [(until, until + 2, until + 4) for until in map(int, asked.spans.split(","))]
    torch.set_num_threads(1)
    for name in asked.models.split(","):
        entry = ENTRIES[name]
        if asked.tune:
            scores: dict[tuple[Any, ...], float] = {}
            for values in itertools.product(*entry.grid.values()):
                settings = entry.chosen | dict(zip(entry.grid, values, strict=True))
                each = [statistics.mean(run(entry, settings, n, span)[0] for n in range(asked.seeds)) for span in spans]
                scores[values] = statistics.mean(each)
                shown = dict(zip((n.removeprefix(TRAIN) for n in entry.grid), values, strict=True))
                print(
                    f"{name:<14} {scores[values]:.4f} = ({' + '.join(f'{e:.4f}' for e in each)}) / {len(spans)}  {shown}",
                    flush=True,
                )
            print(f"{name:<14} least: {min(scores, key=scores.__getitem__)}", flush=True)
            continue
        began = time.perf_counter()
        found: list[tuple[float, float]] = []
        for seed in range(asked.seeds):
            found.append(run(entry, entry.chosen, seed, USUAL))
            print(f"{name:<14} seed {seed}  MSE {found[-1][0]:.4f}", flush=True)
        mse, mae = (statistics.mean(f[i] for f in found) for i in (0, 1))
        spread = statistics.stdev(f[0] for f in found) if len(found) > 1 else 0.0
        took = (time.perf_counter() - began) / len(found)
        print(
            f"{name:<14} MSE {mse:.4f} ± {spread:.4f}  MAE {mae:.4f}  {took:5.0f} s a seed  to reach {entry.bound}",
            flush=True,
        )


if __name__ == "__main__":
    main()
