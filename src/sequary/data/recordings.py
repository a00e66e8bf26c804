"""Recordings from an .npz of arrays: `samples` one recording after another, `lengths`, `labels`, and `speakers` where known."""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequary.data.errors import DataError
from sequary.data.files import LIMIT, checked
from sequary.data.panel import Floats

RATE = 8000
"""Samples a second where the file has no array `rate`."""
RATES = (1000, 192_000)
WINDOW, HOP, BANDS = 0.032, 0.016, 20
"""Seconds, seconds, bands of `log_mel`."""
QUIET = 1e-4
"""Power that is added, so that silence has a logarithm: about that of the noise of these windows at 16 bits."""
UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError)
"""What opening a damaged or foreign archive raises; RuntimeError for an encrypted one and for a compression that is not known."""
ARRAYS = (
    "write numpy.savez(file, samples=…, lengths=…, labels=…): int16 of all recordings one after another, and for each "
    "recording its length and its class; speakers (of each) and rate (Hz, one number) where they are known"
)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """N recordings. `labels` and `speakers` are their names, empty where the file has none."""

    samples: tuple[NDArray[np.int16], ...]
    rate: int
    labels: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)


def is_recordings(path: str | Path) -> bool:
    """Whether a path means recordings: an .npz whose contents do not say that it is something else (images)."""
    path = Path(path)
    if path.suffix.lower() != ".npz":
        return False
    names = _names(path)
    return "samples" in names or "images" not in names


def _names(path: Path) -> set[str]:
    """Of the arrays, from the archive's directory; none where there is no such archive, which `read_recordings` says."""
    if not path.is_file():
        return set()
    try:
        with zipfile.ZipFile(path) as packed:
            return {name.removesuffix(".npy") for name in packed.namelist()}
    except UNREADABLE:
        return set()


def read_recordings(path: str | Path, *, limit: int = LIMIT) -> Recordings:
    """Refuses what cannot be cut into recordings in one way. `limit`: bytes, unpacked."""
    path = checked(path, limit=limit)
    found = _arrays(path, limit)
    for name in ("samples", "lengths"):
        if name not in found:
            raise DataError(f"no array {name!r} among {sorted(found)}", file=str(path), mend=ARRAYS)
    samples, lengths = found["samples"], found["lengths"]
    if samples.dtype != np.int16 or samples.ndim != 1:
        what = f"array 'samples' has dtype {samples.dtype} and shape {samples.shape}"
        raise DataError(what, file=str(path), mend="one row of int16: scale to -32768 … 32767 and concatenate")
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1:
        what = f"array 'lengths' has dtype {lengths.dtype} and shape {lengths.shape}"
        raise DataError(what, file=str(path), mend="one whole number for each recording")
    short = np.flatnonzero(lengths < 1)
    if len(short) or not len(lengths):
        what = f"recording {short[0]} has {lengths[short[0]]} samples" if len(short) else "there are no recordings"
        raise DataError(what, file=str(path), mend="remove it" if len(short) else ARRAYS)
    total = int(lengths.sum(dtype=np.int64))
    if total != len(samples):
        what = f"the lengths add up to {total:,}, but there are {len(samples):,} samples"
        raise DataError(what, file=str(path), mend="give each recording its own number of samples")
    return Recordings(
        samples=tuple(np.split(samples, np.cumsum(lengths, dtype=np.int64)[:-1])),
        rate=_rate(found.get("rate"), path),
        labels=_each(found, "labels", len(lengths), path),
        speakers=_each(found, "speakers", len(lengths), path),
    )


def _arrays(path: Path, limit: int) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as packed:  # what it unpacks to is read before a byte is unpacked
            size = sum(item.file_size for item in packed.infolist())
        if size > limit:
            mend = "pass a larger limit, or keep fewer recordings"
            raise DataError(f"unpacks to {size:,} bytes, the limit is {limit:,}", file=str(path), mend=mend)
        with np.load(path, allow_pickle=False) as found:
            wanted = {"samples", "lengths", "labels", "speakers", "rate"} & set(found)
            return {name: plain(found, name) for name in wanted or found}
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"not a readable .npz of plain arrays ({error})", file=str(path), mend=ARRAYS) from None


def plain(found: Any, name: str) -> NDArray[Any]:
    """One array of an open .npz; numpy gives an entry of another kind as its bytes."""
    array = found[name]
    if not isinstance(array, np.ndarray):
        raise ValueError(f"entry {name!r} is no .npy array")
    return array


def _rate(found: NDArray[Any] | None, path: Path) -> int:
    if found is None:
        return RATE
    low, high = RATES
    if found.size != 1 or found.dtype.kind not in "iu" or not low <= int(found.reshape(())) <= high:
        mend = f"give one whole number of samples a second, from {low:,} to {high:,}"
        raise DataError(f"array 'rate' is {found.tolist()}", file=str(path), mend=mend)
    return int(found.reshape(()))


def _each(found: dict[str, NDArray[Any]], name: str, count: int, path: Path) -> tuple[str, ...]:
    """One name for each recording."""
    if name not in found:
        return ()
    array = found[name]
    if array.shape != (count,) or array.dtype.kind not in "iuUb":
        what = f"array {name!r} has dtype {array.dtype} and shape {array.shape} for {count:,} recordings"
        raise DataError(what, file=str(path), mend="give each recording one: whole numbers or text")
    return tuple(str(value) for value in array.tolist())


def log_mel(
    samples: NDArray[np.int16], rate: int, *, window: float = WINDOW, hop: float = HOP, bands: int = BANDS
) -> Floats:
    """[T, bands]: natural logarithm of the power in mel bands, Hann windows `window` seconds long, `hop` seconds apart.

    mel(f) = 2595 log10(1 + f / 700); triangles of equal width in mel from 0 to rate / 2. Less the recording's mean over all
    windows and bands: how loud it was says nothing. A recording shorter than one window is filled up with zeros.
    """
    size, step = round(window * rate), max(1, round(hop * rate))
    wave = samples / 32768.0
    wave = np.pad(wave, (0, max(0, size - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[::step] * np.hanning(size)
    power_TF = np.abs(np.fft.rfft(frames)) ** 2
    found = np.log(power_TF @ triangles(rate, size, bands) + QUIET)
    return found - found.mean()


def triangles(rate: int, size: int, bands: int) -> Floats:
    """[frequencies, bands]."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    f = np.fft.rfftfreq(size, 1 / rate)[:, None]
    rise = (f - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - f) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rise, fall))
