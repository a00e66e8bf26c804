"""Images from files: an .npz of arrays, or a folder with one folder of PNG files for each class."""

from __future__ import annotations

import dataclasses
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequary.core.values import Batch
from sequary.data.errors import DataError
from sequary.data.files import LIMIT, checked
from sequary.data.recordings import UNREADABLE, plain

LEAST = 20
"""Images, so that a tenth can be held out."""
SIDES = (4, 1024)
CLASSES = 10_000
ARRAYS = "write numpy.savez(file, images=…, labels=…): uint8 [N, H, W] or [N, H, W, C], and integers [N]"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Images:
    """`pixels` [N, H, W, C] uint8 of 1 or 3 channels; `labels` [N] index `classes`, None (and no classes) where none are known."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: NDArray[np.bool_] | slice) -> Images:
        labels = None if self.labels is None else self.labels[rows]
        return dataclasses.replace(self, pixels=self.pixels[rows], labels=labels)

    def parts(self, share: float = 0.1) -> tuple[Images, Images]:
        """(to learn from, held out): always the same share of the images, drawn, since files come sorted or in turns by class."""
        held = np.zeros(len(self), dtype=np.bool_)
        held[np.random.default_rng(0).permutation(len(self))[: round(share * len(self))]] = True
        return self.take(~held), self.take(held)


class ImageRows:
    """A `Source`: values [B, C, H, W] in [−1, 1], and classes in `cond` where there are labels.

    With `side` images are framed to side × side by their own edges; `to_pixels` cuts the frame off again.
    """

    def __init__(self, images: Images, *, side: int | None = None) -> None:
        height, width = images.pixels.shape[1:3]
        if side is not None and max(height, width) > side:
            raise DataError(
                f"images of {height} × {width} pixels do not fit the model's {side} × {side}",
                mend="shrink them, or set a larger grid of the model",
            )
        tall, wide = side or height, side or width
        rest = (tall - height, wide - width)
        edges = [(r // 2, r - r // 2) for r in rest]
        framed = np.pad(images.pixels, ((0, 0), *edges, (0, 0)), mode="edge")
        self.pixels = torch.from_numpy(np.ascontiguousarray(framed.transpose(0, 3, 1, 2)))
        self.labels = None if images.labels is None else torch.from_numpy(images.labels)

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, rows: Tensor) -> Batch:
        values = self.pixels[rows].to(torch.float32).div_(127.5).sub_(1)
        return Batch(values=values, cond=None if self.labels is None else self.labels[rows])


def to_pixels(values_BCHW: Tensor, height: int | None = None, width: int | None = None) -> NDArray[np.uint8]:
    """[B, H, W, C] of values in [−1, 1], what lies outside cut to it; the middle `height` × `width`."""
    tall, wide = values_BCHW.shape[2:]
    height, width = height or tall, width or wide
    top, left = (tall - height) // 2, (wide - width) // 2
    cut = values_BCHW.detach()[:, :, top : top + height, left : left + width]
    whole = cut.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return whole.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def is_images(path: str | Path) -> bool:
    """Whether a path means images: an .npz file, or a folder that holds folders."""
    path = Path(path)
    return path.suffix.lower() == ".npz" or (path.is_dir() and any(p.is_dir() for p in path.iterdir()))


def read_images(path: str | Path, *, least: int = LEAST, limit: int = LIMIT) -> Images:
    """The images of an .npz (`images`, and `labels` if there), or of a folder FOLDER/CLASS/*.png. `limit`: bytes of pixels."""
    path = Path(path)
    images = _folder(path, limit) if path.is_dir() else _arrays(checked(path, limit=limit), limit)
    if len(images) < least:
        mend = f"at least {least} are needed to train on one part and score on another"
        raise DataError(f"{len(images)} images", file=str(path), mend=mend)
    return images


def _arrays(path: Path, limit: int) -> Images:
    try:
        with zipfile.ZipFile(path) as packed:  # what it unpacks to is read before a byte is unpacked
            size = sum(item.file_size for item in packed.infolist())
        if size > limit:
            mend = "pass a larger limit, or keep fewer images"
            raise DataError(f"unpacks to {size:,} bytes, the limit is {limit:,}", file=str(path), mend=mend)
        with np.load(path, allow_pickle=False) as found:
            if "images" not in found:
                raise DataError(f"no array 'images' among {sorted(found)}", file=str(path), mend=ARRAYS)
            pixels = plain(found, "images")
            labels = plain(found, "labels") if "labels" in found else None
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"not a readable .npz of plain arrays ({error})", file=str(path), mend=ARRAYS) from None
    pixels = _pixels(pixels, path)
    return Images(pixels, *((None, ()) if labels is None else _labels(labels, len(pixels), path)))


def _pixels(found: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    pixels = found[..., None] if found.ndim == 3 else found
    if pixels.dtype != np.uint8:
        mend = "scale the values to 0 … 255 and save them as uint8"
        raise DataError(f"array 'images' has dtype {pixels.dtype}", file=str(path), mend=mend)
    if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3):
        raise DataError(f"array 'images' has shape {found.shape}", file=str(path), mend=f"C must be 1 or 3; {ARRAYS}")
    low, high = SIDES
    if not low <= min(pixels.shape[1:3]) <= max(pixels.shape[1:3]) <= high:
        mend = f"sides from {low} to {high} pixels are read; resize the images"
        raise DataError(f"array 'images' has shape {found.shape}", file=str(path), mend=mend)
    return pixels.astype(np.uint8, copy=False)


def _labels(found: NDArray[np.generic], count: int, path: Path) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if found.shape != (count,):
        mend = "give each image one label, or leave the array out"
        raise DataError(f"array 'labels' has shape {found.shape} for {count} images", file=str(path), mend=mend)
    if found.dtype.kind not in "iuUb":
        mend = "labels are integers or strings; map them first"
        raise DataError(f"array 'labels' has dtype {found.dtype}", file=str(path), mend=mend)
    names, codes = np.unique(found, return_inverse=True)
    if len(names) > CLASSES:
        mend = f"at most {CLASSES:,} classes are read; are these numbers of rows?"
        raise DataError(f"array 'labels' has {len(names):,} different values", file=str(path), mend=mend)
    return codes.astype(np.int64), tuple(str(name) for name in names)


def _folder(path: Path, limit: int) -> Images:
    """Classes in the order of their folders' names."""
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    files = [(file, code) for code, folder in enumerate(folders) for file in sorted(folder.glob("*.png"))]
    if not files:
        raise DataError("no CLASS/*.png inside", file=str(path), mend="one folder of PNG files for each class")
    pixels: list[NDArray[np.uint8]] = []
    for file, _ in files:
        pixels.append(_png(file))
        if pixels[-1].shape != pixels[0].shape:
            shapes = f"{pixels[-1].shape} here, {pixels[0].shape} in {files[0][0].name}"
            raise DataError(f"sizes differ: {shapes}", file=str(file), mend="resize all to the same height and width")
        if len(files) * pixels[0].size > limit:
            size = len(files) * pixels[0].size
            mend = "pass a larger limit, or keep fewer images"
            raise DataError(f"{size:,} bytes of pixels, the limit is {limit:,}", file=str(path), mend=mend)
    labels = np.array([code for _, code in files], dtype=np.int64)
    return Images(_pixels(np.stack(pixels), path), labels, tuple(folder.name for folder in folders))


def _png(path: Path) -> NDArray[np.uint8]:
    """[H, W, C]; transparency is left out."""
    from matplotlib.image import imread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow only warns of a decompression bomb
            found = np.asarray(imread(checked(path), format="png"))
    except (OSError, SyntaxError, ValueError, Warning) as error:
        if isinstance(error, DataError):
            raise
        mend = "save it again as PNG, 8 bits a channel"
        raise DataError(f"not a readable PNG ({error})", file=str(path), mend=mend) from None
    if found.ndim == 2:
        found = found[..., None]
    kept = found[..., : 1 if found.shape[-1] < 3 else 3]
    return (kept * 255).round().astype(np.uint8)
