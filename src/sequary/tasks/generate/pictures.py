"""Images as files: one picture of them side by side, or their arrays."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SUFFIXES = (".png", ".npz")
SIDE = 56
"""Pixels that an image of a picture has at least: smaller ones are enlarged by whole numbers."""
PAPER = 255


def packed(made: NDArray[np.uint8], labels: Sequence[str] | None, suffix: str, columns: int | None = None) -> bytes:
    """The content of a file: a picture, or `images` and `labels` as `data.images` reads them."""
    file = io.BytesIO()
    if suffix == ".npz":
        if labels is None:
            np.savez_compressed(file, images=made)
        else:
            np.savez_compressed(file, images=made, labels=np.array(labels))
    else:
        Image.fromarray(grid(made, columns)).save(file, "PNG", optimize=True)
    return file.getvalue()


def grid(made: NDArray[np.uint8], columns: int | None = None) -> NDArray[np.uint8]:
    """[rows, columns] pixels (and 3 colours) of n images [n, H, W] or [n, H, W, 3], row by row with a gap between; about a square."""
    columns = min(len(made), columns or math.ceil(math.sqrt(len(made))))
    times = max(1, math.ceil(SIDE / max(made.shape[1:3])))
    large = made.repeat(times, 1).repeat(times, 2)
    gap, (height, width) = times, large.shape[1:3]
    rows = math.ceil(len(made) / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *made.shape[3:])
    picture = np.full(shape, PAPER, np.uint8)
    for number, image in enumerate(large):
        top, left = (number // columns) * (height + gap), (number % columns) * (width + gap)
        picture[top : top + height, left : left + width] = image
    return picture
