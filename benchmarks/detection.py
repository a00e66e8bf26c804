"""Numenta's benchmark, six series with known causes: events found and false alarms a week, without point adjustment.

    python benchmarks/detection.py [--series nyc_taxi,…] [--seeds 1] [--steps 600] [--set PATH=VALUE …] [--alarms 1]

Each detector learns from the first 40 % of the rows, without labels, and chooses its threshold there: at most `--alarms` per
1000 steps of the last fifth of them. Judged is what comes after. An event is one labelled window, found if any row in it is
above the threshold; an alarm that goes on outside of windows counts again every quarter of a season. Rows are averaged onto
the regular grid first, since two series name hours twice or wander. Data: ../shared/data or SEQUARY_DATA. One thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch

from sequary.claims.forecast_gain import shared
from sequary.cli import values
from sequary.core.catalogue import load
from sequary.data.frames import read
from sequary.data.panel import Floats, Panel
from sequary.data.tables import understand
from sequary.tasks.detect.alarms import Bools, Threshold, distance
from sequary.tasks.detect.floors import LagForest, Residuals
from sequary.tasks.detect.judged import Judged, judge, steps_a_week
from sequary.tasks.detect.train import train, unlearnt
from sequary.tasks.forecast.holdout import held_out
from sequary.tasks.training import Training

FLOORS = {
    "seasonal residuals": Residuals(),
    "last-value residuals": Residuals(1),
    "isolation forest": LagForest(),
}
LEARNT = 0.4
LEAST = 32
Said = tuple[list[Floats], float]


def series(path: Path, windows: list[list[str]]) -> tuple[Panel, Bools, int]:
    """The panel, which steps are labelled, and how many of its steps are learnt from."""
    frame = read(path).with_columns(pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S"))
    every = frame["timestamp"].diff().drop_nulls().mode()[0]
    frame = frame.group_by(pl.col("timestamp").dt.truncate(every), maintain_order=True).agg(pl.col("value").mean())
    panel, _ = understand(frame, source=str(path))
    (one,) = panel.series
    label = np.zeros(len(one), bool)
    for first, last in windows:
        label |= (one.times >= np.datetime64(first)) & (one.times <= np.datetime64(last))
    known = np.isfinite(one.values[:, 0]).cumsum()
    return panel, label, int(np.searchsorted(known, LEARNT * known[-1]))


def ordinary(floor: Residuals | LagForest, known: Panel, whole: Panel, rate: float) -> Said:
    ends, held = held_out(known, LEAST)
    learned = floor.learn(known.cut(ends.tolist()))
    threshold = Threshold.fit(unlearnt(learned.scores(known), ends, held), distance(known.frequency.season))
    return learned.scores(whole), threshold.at(rate)


def system(known: Panel, whole: Panel, rate: float, *, seed: int, options: argparse.Namespace) -> Said:
    recipe = load(options.system).recipe
    assert recipe is not None
    asked = Training(seed=seed, steps=options.steps, settings=values.settings(options.set))
    fitted = train(recipe, known, asked)
    return fitted.scores(whole), fitted.threshold.at(rate)


def said(detector: str, known: Panel, whole: Panel, seed: int, options: argparse.Namespace) -> Said:
    if detector in FLOORS:
        return ordinary(FLOORS[detector], known, whole, options.alarms)
    return system(known, whole, options.alarms, seed=seed, options=options)


def judged(
    name: str, windows: list[list[str]], detector: str, options: argparse.Namespace
) -> list[tuple[Judged, float]]:
    """Of each seed, and the weeks that were judged; a line printed for each."""
    whole, label, stop = series(shared(f"nab/{name}"), windows)
    week, found = steps_a_week(whole.frequency), list[tuple[Judged, float]]()
    assert week is not None
    for seed in range(1 if detector in FLOORS else options.seeds):
        began = time.perf_counter()
        scores, threshold = said(detector, whole.cut([stop]), whole, seed, options)
        took = time.perf_counter() - began
        one = judge(scores[0][stop:], label[stop:], threshold, distance(whole.frequency.season))
        found.append((one, one.steps / week))
        tell(name[:22], detector, [found[-1]], f"{one.f1:5.2f}", took)
    return found


def tell(name: str, detector: str, each: list[tuple[Judged, float]], f1: str, took: float) -> None:
    events = f"{sum(j.found for j, _ in each)} / {sum(j.events for j, _ in each)}"
    often = sum(j.false_alarms for j, _ in each) / sum(weeks for _, weeks in each)
    area = statistics.mean(j.auroc for j, _ in each)
    print(f"{name:22} {detector:22} {events:>8} {often:13.2f} {f1:>5} {area:6.3f} {took:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--system", default="anomalybert")
    parser.add_argument("--series", default="")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--alarms", type=float, default=1.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    labels: dict[str, list[list[str]]] = json.loads(shared("nab/anomaly_windows.json").read_text())
    chosen = [n for n in labels if any(n.startswith(part) for part in options.series.split(","))]
    print(f"{'series':22} {'detector':22} {'events':>8} {'false a week':>13} {'F1':>5} {'AUROC':>6} {'seconds':>8}")
    every = [*FLOORS, options.system]
    found = {d: [one for n in chosen for one in judged(n, labels[n], d, options)] for d in every}
    for detector, each in found.items():
        tell("all", detector, each, "", 0.0)


if __name__ == "__main__":
    main()
