"""Recordings: what is read, what is refused with the mend, and that log mel bands say what they should."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequary.data.errors import DataError
from sequary.data.recordings import BANDS, is_recordings, log_mel, read_recordings, triangles
from tests.tasks.classify.gestures import SPEAKERS, recorded, tones


def test_recordings_come_out_as_they_went_in(tmp_path: Path) -> None:
    arrays = tones(7)
    np.savez(tmp_path / "a.npz", **arrays, rate=16_000)
    found = read_recordings(tmp_path / "a.npz")
    assert (len(found), found.rate) == (7, 16_000)
    assert [len(s) for s in found.samples] == arrays["lengths"].tolist()
    np.testing.assert_array_equal(np.concatenate(found.samples), arrays["samples"])
    assert found.labels == ("0", "1", "2", "0", "1", "2", "0")
    assert found.speakers == (*SPEAKERS, "ann", "bo")
    np.savez(tmp_path / "b.npz", samples=arrays["samples"], lengths=arrays["lengths"])
    bare = read_recordings(tmp_path / "b.npz")
    assert (bare.rate, bare.labels, bare.speakers) == (8000, (), ())


def test_an_archive_says_by_its_names_what_it_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", images=np.zeros((3, 8, 8), np.uint8), labels=[0, 1, 0])
    np.savez(tmp_path / "other.npz", x=[1])
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and nothing more")
    assert is_recordings(recorded(tmp_path))
    assert not is_recordings(tmp_path / "images.npz")
    assert not is_recordings(tmp_path / "table.csv")
    assert not is_recordings(tmp_path)
    for reported in ("other", "broken", "missing"):  # by the reader, which says what is wrong
        assert is_recordings(tmp_path / f"{reported}.npz")
        with pytest.raises(DataError, match=reported):
            read_recordings(tmp_path / f"{reported}.npz")


def changed(**arrays: Any) -> dict[str, Any]:
    found = {**tones(5), **arrays}
    return {name: array for name, array in found.items() if array is not None}


BAD = {
    "no array 'samples' among ['labels', 'lengths', 'speakers']; write numpy.savez": {"samples": None},
    "no array 'lengths' among": {"lengths": None},
    "array 'samples' has dtype float64": {"samples": np.zeros(9)},
    "array 'samples' has dtype int16 and shape (3, 3)": {"samples": np.zeros((3, 3), np.int16)},
    "array 'lengths' has dtype float64": {"lengths": np.ones(5)},
    "recording 1 has 0 samples; remove it": {"lengths": np.array([9, 0, 1])},
    "recording 0 has -4 samples": {"lengths": np.array([-4, 4])},
    "there are no recordings": {"lengths": np.zeros(0, int), "samples": np.zeros(0, np.int16)},
    "the lengths add up to 8, but there are 9 samples": {"lengths": np.full(2, 4), "samples": np.zeros(9, np.int16)},
    "array 'labels' has dtype int64 and shape (4,) for 5 recordings": {"labels": np.arange(4)},
    "array 'labels' has dtype float64": {"labels": np.arange(5.0)},
    "array 'speakers' has dtype <U1 and shape (1, 5)": {"speakers": np.array([list("abcde")])},
    "array 'rate' is 5; give one whole number": {"rate": 5},
    "array 'rate' is [8000, 8000]": {"rate": [8000, 8000]},
}


@pytest.mark.parametrize("told", BAD)
def test_what_cannot_be_cut_into_recordings_is_refused(tmp_path: Path, told: str) -> None:
    np.savez(tmp_path / "a.npz", **changed(**BAD[told]))
    with pytest.raises(DataError) as error:
        read_recordings(tmp_path / "a.npz")
    assert told in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "a.npz"))
    assert "\n" not in str(error.value)


def test_pickles_are_not_opened_and_bombs_not_unpacked(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **changed(labels=np.array([{}] * 5, dtype=object)))
    with pytest.raises(DataError, match=r"not a readable \.npz of plain arrays"):
        read_recordings(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", samples=np.zeros(1_000_000, np.int16), lengths=[1_000_000])
    with pytest.raises(DataError, match=r"unpacks to 2,000,.* bytes, the limit is 100,000"):
        read_recordings(tmp_path / "b.npz", limit=100_000)


def spoilt(path: Path, how: str) -> Path:
    """An archive of one array whose directory is damaged, or says that it is encrypted or packed in an unknown way."""
    raw = bytearray(path.read_bytes())
    local, directory = raw.index(b"PK\x03\x04"), raw.rindex(b"PK\x01\x02")
    if how == "directory":
        raw[directory + 1] = 0
    else:
        at, value = (8, 1) if how == "encrypted" else (10, 99)
        raw[directory + at] = raw[local + at - 2] = value
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("how", ["directory", "encrypted", "unknown"])
def test_spoilt_archives_are_refused(tmp_path: Path, how: str) -> None:
    np.savez(tmp_path / "a.npz", samples=np.zeros(9, np.int16))
    path = spoilt(tmp_path / "a.npz", how)
    assert is_recordings(path)
    with pytest.raises(DataError, match=r"a\.npz: not a readable \.npz of plain arrays"):
        read_recordings(path)


def test_an_entry_that_is_no_array_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **changed(labels=None))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as packed:
        packed.writestr("labels", "hello")
    with pytest.raises(DataError, match=r"\(entry 'labels' is no \.npy array\)"):
        read_recordings(tmp_path / "a.npz")


def sine(hz: float, loud: float = 8000, steps: int = 2000) -> np.ndarray:
    return (loud * np.sin(2 * np.pi * hz * np.arange(steps) / 8000)).astype(np.int16)


def test_a_tone_is_loudest_in_its_band() -> None:
    hz = np.fft.rfftfreq(256, 1 / 8000)
    middle = hz[triangles(8000, 256, BANDS).argmax(0)]
    assert (np.diff(middle) > 0).all()
    for band in (3, 10, 17):
        found = log_mel(sine(middle[band]), 8000)
        assert (found.argmax(1) == band).all()
        assert found.shape == (1 + (2000 - 256) // 128, BANDS)


def test_loudness_says_nothing_and_short_recordings_have_a_window() -> None:
    np.testing.assert_allclose(log_mel(sine(900), 8000).mean(), 0, atol=1e-12)
    noise = np.random.default_rng(0).normal(size=3000)
    loud, soft = (log_mel((noise * size).astype(np.int16), 8000) for size in (8000, 2000))
    np.testing.assert_allclose(loud, soft, atol=0.2)
    assert log_mel(sine(900, steps=1), 8000).shape == (1, BANDS)
    assert np.isfinite(log_mel(np.zeros(500, np.int16), 8000)).all()
