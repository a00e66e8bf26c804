"""Gestures: two channels, three shapes, lengths that differ; as a table, as recordings, and recipes that learn quickly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.data.roles import Columns

CLASSES = ("circle", "line", "wave")
COLUMNS = Columns(time="step", id="id", target=("x", "y"), label="gesture")
SPEAKERS = ("ann", "bo", "cy", "di", "eve")


def gesture(kind: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """[T, 2]."""
    steps = rng.integers(12, 25)
    turn = 2 * np.pi * (np.arange(steps) / steps + 0.1 * rng.normal())
    shape = [(np.cos(turn), np.sin(turn)), (turn / 3 - 1, 1 - turn / 3), (np.sin(2 * turn), np.sin(2 * turn))][kind]
    return np.stack(shape, 1) + 0.2 * rng.normal(size=(steps, 2))


def table(count: int = 60, seed: int = 0) -> pl.DataFrame:
    """Columns id, step, x, y, gesture; classes in turn. `COLUMNS` says what they are."""
    rng, rows = np.random.default_rng(seed), list[pl.DataFrame]()
    for i in range(count):
        xy = gesture(i % 3, rng)
        columns = {"id": f"g{i:03}", "step": np.arange(len(xy)), "x": xy[:, 0], "y": xy[:, 1]}
        rows.append(pl.DataFrame({**columns, "gesture": CLASSES[i % 3]}))
    return pl.concat(rows)


def tones(count: int = 60, seed: int = 0) -> dict[str, Any]:
    """The arrays of recordings: a tone of 400, 1200 or 2800 Hz, by five speakers, whose loudness differs."""
    rng, samples = np.random.default_rng(seed), list[NDArray[np.int16]]()
    for i in range(count):
        steps = rng.integers(700, 1500)
        wave = np.sin(2 * np.pi * (400, 1200, 2800)[i % 3] * np.arange(steps) / 8000)
        loud = 2000 * (1 + i % 5)
        samples.append((loud * (wave + 0.1 * rng.normal(size=steps))).clip(-32768, 32767).astype(np.int16))
    return {
        "samples": np.concatenate(samples),
        "lengths": np.array([len(s) for s in samples], np.int32),
        "labels": np.arange(count) % 3,
        "speakers": np.array(SPEAKERS)[np.arange(count) % 5],
    }


def recorded(folder: Path, count: int = 60) -> Path:
    np.savez(folder / "tones.npz", **tones(count))
    return folder / "tones.npz"


def small() -> Recipe:
    recipe = load("tst-mvts").recipe
    assert recipe is not None
    return recipe.shrunk().but(stages__0__train__batch=16, stages__1__train__batch=16)


def own(folder: Path) -> str:
    """A user's file with a small recipe."""
    file = folder / "small.py"
    file.write_text(
        "from sequary.systems.timeseries.tst_mvts import RECIPE as WHOLE\n\n"
        "RECIPE = WHOLE.shrunk().but(stages__0__train__batch=16, stages__1__train__batch=16)\n"
    )
    return str(file)
