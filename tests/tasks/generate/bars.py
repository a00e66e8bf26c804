"""Small images of bars, one direction a class, and recipes at a size that learns nothing, quickly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequary.core.catalogue import load
from sequary.core.recipe import Recipe

CLASSES = ("across", "down", "slant")
GENERATORS = ("var", "rar", "mar-diffusion-loss")


def bars(count: int = 60, side: int = 6, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """[N, side, side] and the names of their classes, in turn."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    phase = np.stack([y, x, x + y])[np.arange(count) % 3] + rng.integers(0, 4, count)[:, None, None]
    clean = np.where(phase % 4 < 2, 30, 200)
    return (clean + rng.integers(0, 40, clean.shape)).astype(np.uint8), np.array(CLASSES)[np.arange(count) % 3]


def written(folder: Path, count: int = 60, side: int = 6) -> Path:
    images, labels = bars(count, side)
    np.savez(folder / "bars.npz", images=images, labels=labels)
    return folder / "bars.npz"


def tiny(slug: str) -> Recipe:
    """For images of 6 × 6."""
    recipe = load(slug).recipe
    assert recipe is not None
    return recipe.shrunk()


def own(folder: Path, slug: str) -> str:
    """A user's file with that recipe."""
    module = load(slug).module.__name__
    file = folder / f"tiny_{slug.replace('-', '_')}.py"
    file.write_text(f"from {module} import CARD, RECIPE as WHOLE\n\nRECIPE = WHOLE.shrunk()\n")
    return str(file)
