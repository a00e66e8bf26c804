"""Images from files: what is read, what is refused with its mend, and the way to values and back."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imsave
from numpy.typing import NDArray

from sequary.data.errors import DataError
from sequary.data.images import ImageRows, Images, is_images, read_images, to_pixels
from tests.data.test_recordings import spoilt

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)


def saved(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "set.npz", **arrays)  # pyright: ignore[reportArgumentType]
    return folder / "set.npz"


def test_labels_become_codes_of_sorted_names(tmp_path: Path) -> None:
    names = np.array(["cat", "ant"] * 20)
    found = read_images(saved(tmp_path, images=PIXELS, labels=names))
    assert found.pixels.shape == (40, 6, 5, 1)
    assert found.classes == ("ant", "cat")
    assert found.labels is not None
    assert [found.classes[c] for c in found.labels] == names.tolist()


def test_values_return_to_the_pixels_they_came_from(tmp_path: Path) -> None:
    found = read_images(saved(tmp_path, images=PIXELS))
    batch = ImageRows(found, side=8).batch(torch.tensor([3, 1]))
    assert batch.values.shape == (2, 1, 8, 8)
    assert batch.cond is None
    assert float(batch.values.min()) >= -1
    assert float(batch.values.max()) <= 1
    assert (to_pixels(batch.values, 6, 5) == found.pixels[[3, 1]]).all()


def test_values_outside_the_range_are_cut() -> None:
    assert to_pixels(torch.tensor([[[[-2.0, 3.0]]]])).flatten().tolist() == [0, 255]


@pytest.mark.parametrize("labels", [np.repeat(np.arange(10), 40), np.tile(np.arange(10), 40)])
def test_parts_hold_each_image_once_and_all_classes_of_a_sorted_file(labels: NDArray[np.int64]) -> None:
    pixels = np.arange(400, dtype=np.uint16).view(np.uint8).reshape(400, 1, 2, 1)
    learnt, held = Images(pixels, labels, tuple("0123456789")).parts()
    assert (len(learnt), len(held)) == (360, 40)
    assert held.labels is not None
    assert len(set(held.labels.tolist())) > 7
    both = np.concatenate([learnt.pixels, held.pixels]).reshape(400, 2)
    assert len(np.unique(both, axis=0)) == 400


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    for i in range(20):
        folder = tmp_path / ("odd" if i % 2 else "even")
        folder.mkdir(exist_ok=True)
        imsave(folder / f"{i:02}.png", np.repeat(PIXELS[i, ..., None], 3, -1))
    assert is_images(tmp_path)
    found = read_images(tmp_path)
    assert found.classes == ("even", "odd")
    assert (found.pixels[:10] == PIXELS[0:20:2, ..., None]).all()
    (tmp_path / "odd" / "99.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DataError, match=r"99\.png: not a readable PNG"):
        read_images(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pictures": PIXELS}, "no array 'images' among ['pictures']"),
        ({"images": PIXELS / 255}, "array 'images' has dtype float64; scale"),
        ({"images": PIXELS[:, 0]}, "array 'images' has shape (40, 5)"),
        ({"images": np.zeros((40, 6, 5, 2), np.uint8)}, "C must be 1 or 3"),
        ({"images": np.zeros((40, 2, 5), np.uint8)}, "sides from 4 to 1024"),
        ({"images": PIXELS[:5]}, "5 images; at least 20"),
        ({"images": PIXELS, "labels": np.zeros(39, int)}, "array 'labels' has shape (39,) for 40 images"),
        ({"images": PIXELS, "labels": np.zeros(40)}, "array 'labels' has dtype float64"),
        ({"images": np.array([object()] * 40)}, "not a readable .npz of plain arrays"),
    ],
)
def test_refusals_name_the_file_the_array_and_the_mend(tmp_path: Path, arrays: dict[str, object], said: str) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(DataError, match=re.escape(said)) as refusal:
        read_images(path)
    assert str(path) in str(refusal.value)


def test_a_file_that_unpacks_beyond_the_limit_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", images=np.zeros((1000, 64, 64), np.uint8))
    with pytest.raises(DataError, match="unpacks to 4,096,"):
        read_images(tmp_path / "bomb.npz", limit=1_000_000)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"PK" + b[10:], lambda b: b[:200] + b"\0" * 50 + b[250:]]
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, damage: object) -> None:
    np.savez_compressed(tmp_path / "set.npz", images=PIXELS)
    (tmp_path / "set.npz").write_bytes(damage((tmp_path / "set.npz").read_bytes()))  # pyright: ignore[reportCallIssue]
    with pytest.raises(DataError) as refusal:
        read_images(tmp_path / "set.npz")
    assert "\n" not in str(refusal.value)


def test_an_entry_that_is_no_array_is_refused(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        with zipfile.ZipFile(saved(tmp_path, **({"images": PIXELS} if name == "labels" else {})), "a") as packed:
            packed.writestr(name, "hello")
        with pytest.raises(DataError, match=rf"set\.npz: not a readable .* \(entry '{name}' is no \.npy array\)"):
            read_images(tmp_path / "set.npz")


@pytest.mark.parametrize("how", ["directory", "encrypted", "unknown"])
def test_spoilt_archives_are_refused(tmp_path: Path, how: str) -> None:
    path = spoilt(saved(tmp_path, images=PIXELS), how)
    with pytest.raises(DataError, match=r"set\.npz: not a readable \.npz of plain arrays"):
        read_images(path)


def test_images_too_large_for_the_model_are_refused() -> None:
    with pytest.raises(DataError, match="images of 6 × 5 pixels do not fit the model's 4 × 4"):
        ImageRows(Images(PIXELS[..., None]), side=4)
