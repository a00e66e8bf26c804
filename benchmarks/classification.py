"""Spoken digits, each speaker told by who never heard them: accuracy of systems and floors, leaving one speaker out.

    OMP_NUM_THREADS=1 python benchmarks/classification.py [--systems tst-mvts] [--steps N] [--seed 0] [--data spoken_digits.npz]

For each of the speakers a model learns from all others, of whom one is held out for early stopping and the temperature, as
`sequary fit` does; log mel bands as `sequary.data.recordings.log_mel` makes them. `--steps` are those of the last stage, those before
keep their ratio to it. Printed are accuracy by speaker, and over all recordings accuracy, log loss and seconds of training of one model.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from sequary.claims.forecast_gain import shared
from sequary.compare.tasks.classify import scored
from sequary.core.catalogue import load
from sequary.data.panel import Floats
from sequary.data.roles import Columns
from sequary.tasks.classify import floors
from sequary.tasks.classify.labelled import Labelled
from sequary.tasks.classify.reading import read
from sequary.tasks.classify.train import train
from sequary.tasks.training import Training

Learn = Callable[[Labelled], Callable[[Labelled], Floats]]


def system(name: str, steps: int | None, seed: int) -> Learn:
    recipe = load(name).recipe
    assert recipe is not None
    asked = Training(seed=seed, steps=steps)
    return lambda data: train(recipe, data, asked, tell=lambda line: print(f"  {line}", flush=True)).proba


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", default="tst-mvts")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data, lines = read(str(given.data or shared("spoken_digits.npz")), Columns())
    print(*lines, sep="\n", flush=True)
    learners: dict[str, Learn] = {
        "majority": lambda known: floors.Majority.fit(known).proba,
        "nearest-neighbour": lambda known: floors.Nearest.fit(known).proba,
        "linear": lambda known: floors.Linear.fit(known).proba,
    }
    learners |= {name: system(name, given.steps, given.seed) for name in given.systems.split(",")}
    speakers, groups = sorted(set(data.groups)), np.array(data.groups)
    print(f"| | {' | '.join(speakers)} | all | log loss | train s |\n|{'---|' * (len(speakers) + 4)}", flush=True)
    for name, learn in learners.items():
        right, loss, took = list[float](), list[float](), list[float]()
        for speaker in speakers:
            held, began = groups == speaker, perf_counter()
            proba = learn(data.take(~held))
            took.append(perf_counter() - began)
            told = data.take(held)
            error, log_loss, _ = scored(proba(told.bare()), told.labels)
            right.append(1 - error)
            loss.append(log_loss)
        share = [int((groups == speaker).sum()) / len(groups) for speaker in speakers]
        cells = [f"{100 * r:.1f} %" for r in (*right, float(np.dot(right, share)))]
        row = [name, *cells, f"{np.dot(loss, share):.3f}", f"{statistics.median(took):.1f}"]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
