"""One training epoch of ETTh1, 96 → 96, batch 32, at a public code base's sizes: seconds, and what they are spent on.

    python benchmarks/epoch.py [--models dlinear,itransformer,patchtst] [--threads 2] [--repeats 3] [--profile]

DLinear (kernel 25), iTransformer (two layers, d 128, feed-forward 128, 8 heads), PatchTST (one layer, d 512, feed-forward 2048,
8 heads, patch 16, stride 8), dropout 0.1. Time-Series-Library needed 0.9, 9.4 and 196 s on such a machine. Printed beside: the share
of the float32 product rate that the model's products reach, measured in the same run, each product counted once (backward twice).
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from sequary.claims.forecast_gain import etth1
from sequary.core.catalogue import load
from sequary.tasks.forecast.train import prepare
from sequary.train.budget import choose
from sequary.train.learning import learning
from sequary.train.reuse import kept
from sequary.train.run import Run

HORIZON = 96
SIZES = {
    "dlinear": ("dlinear", {}, 0.35),
    "itransformer": ("itransformer", {"model__backbone__blocks__0__parts__1__hidden": 128}, 2.5),
    "patchtst": (
        "patchtst",
        {
            "dim": 512,
            "model__tokens__dropout": 0.1,
            "model__backbone__depth": 1,
            "model__backbone__blocks__0__parts__0__heads": 8,
            "model__backbone__blocks__0__parts__0__dropout": 0.1,
            "model__backbone__blocks__0__parts__1__hidden": 2048,
            "model__backbone__blocks__0__parts__1__dropout": 0.1,
        },
        65.0,
    ),
}


def product_rate(seconds: float = 1.0) -> float:
    """float32 operations a second of a 1024 × 1024 product."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        _ = a @ b
        count += 1
    return 2 * 1024**3 * count / (time.perf_counter() - began)


def epoch(run: Run, rows: int) -> float:
    steps = run.step + -(-rows // run.sampler.batch)
    began = time.perf_counter()
    while run.step < steps:
        run.advance()
    run.settle()
    return time.perf_counter() - began


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--models", default=",".join(SIZES))
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--repeats", type=int, default=3)
    ask.add_argument("--profile", action="store_true")
    asked = ask.parse_args()
    torch.set_num_threads(asked.threads)
    rate = product_rate()
    print(f"float32 products: {rate / 1e9:.0f} GFLOP/s on {asked.threads} threads")
    data = etth1(96, HORIZON)
    train, _, _ = data.parts()
    for name in asked.models.split(","):
        system, changes, bound = SIZES[name]
        recipe = load(system).recipe
        assert recipe is not None
        recipe = prepare(recipe.but(**changes, stages__0__train__batch=32), data.panel, context=96, horizon=HORIZON)
        torch.manual_seed(0)
        model, stage = recipe.build(), recipe.stages[0]
        chosen = choose(model, stage, train, seed=0)
        with learning(model, stage.learns), kept():
            run = Run(model, stage, train, seed=0, device=torch.device("cpu"), hooks=(), chosen=chosen)
            counter = FlopCounterMode(display=False)
            with counter:
                run.advance()
            flops = counter.get_total_flops() * len(train) / chosen.batch
            if asked.profile:
                with profile(activities=[ProfilerActivity.CPU]) as found:
                    for _ in range(20):
                        run.advance()
                print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=18, max_name_column_width=45))
                continue
            seconds = statistics.median(epoch(run, len(train)) for _ in range(asked.repeats))
        share = flops / seconds / rate
        print(
            f"{name:<14} {seconds:7.2f} s  (to reach {bound})  {chosen.precision}, {share:.0%} of the float32 product rate",
            flush=True,
        )


if __name__ == "__main__":
    main()
