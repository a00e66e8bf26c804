"""The Fréchet distance, its classifier, and what a tokenizer keeps of images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.datasets import load_digits

from sequary.core.part import part
from sequary.core.place import Place
from sequary.data.errors import DataError
from sequary.data.images import ImageRows, Images
from sequary.models.tokenized import Tokenized
from sequary.objectives.image_tokens import NextGroup, PermutedTokens
from sequary.tasks.frechet import STAGE, Yardstick, frechet, yardstick
from sequary.tasks.image_tokens import TokenRows, rebuilt


def digits() -> tuple[ImageRows, ImageRows]:
    flat, labels = load_digits(return_X_y=True)
    pixels = (np.asarray(flat) * 15).astype(np.uint8).reshape(-1, 8, 8, 1)
    learnt, held = Images(pixels, np.asarray(labels, dtype=np.int64), tuple("0123456789")).parts()
    return ImageRows(learnt), ImageRows(held)


@pytest.fixture(scope="module")
def stick() -> Yardstick:
    train = dataclasses.replace(STAGE.train, steps=250)
    return yardstick(*digits(), stage=dataclasses.replace(STAGE, train=train))


def gaussian(rows: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(5, 5, generator=rng, dtype=torch.float64) * scale
    return torch.randn(rows, 5, generator=rng, dtype=torch.float64) @ mix + seed


def test_distance_is_the_formula_with_the_matrix_root_of_scipy() -> None:
    a, b = gaussian(300, 0), gaussian(200, 1)
    cov_a, cov_b = np.cov(a.numpy().T), np.cov(b.numpy().T)
    said = np.sum((a.mean(0) - b.mean(0)).numpy() ** 2) + np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert frechet(a, b) == pytest.approx(said, rel=1e-9)
    assert frechet(b, a) == pytest.approx(said, rel=1e-9)


def test_distance_of_one_set_from_itself_is_zero_and_of_a_shift_its_square() -> None:
    a = gaussian(300, 0)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, a + 2) == pytest.approx(5 * 4, rel=1e-9)


def test_distance_survives_features_that_never_vary() -> None:
    a = torch.cat((gaussian(50, 0), torch.zeros(50, 3)), 1)
    assert frechet(a, a + 1) == pytest.approx(8, rel=1e-6)


def test_the_classifier_tells_digits_it_has_not_seen(stick: Yardstick) -> None:
    assert stick.accuracy > 0.85


def test_distance_grows_with_noise_and_real_images_are_nearest(stick: Yardstick) -> None:
    learnt, held = (rows.batch(torch.arange(len(rows))).values for rows in digits())
    real, noise = stick.features(learnt), torch.randn(held.shape, generator=torch.Generator().manual_seed(0))
    found = [frechet(real, stick.features((held + s * noise).clamp(-1, 1))) for s in (0.0, 0.3, 1.0)]
    assert found == sorted(found)
    assert found[0] < 0.2 * found[1]


def test_images_without_labels_have_no_yardstick() -> None:
    rows = ImageRows(Images(np.zeros((30, 8, 8, 1), np.uint8)))
    with pytest.raises(DataError, match="no labels"):
        yardstick(rows, rows)


@pytest.fixture
def model() -> Tokenized:
    torch.manual_seed(0)
    made = part(Tokenized, **Tokenized.tiny).build(Place(16))
    return made.eval()


def test_tokens_encoded_once_give_the_loss_of_the_images(model: Tokenized) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    images = ImageRows(Images(pixels, np.arange(6) % 3, ("a", "b", "c")))
    rows = torch.tensor([4, 0, 5])
    once, each = TokenRows(model, images).batch(rows), images.batch(rows)
    for objective in (PermutedTokens(grid=(2, 2)), NextGroup()):
        a, b = (float(objective(model, x, torch.Generator().manual_seed(0)).value.detach()) for x in (once, each))
        assert a == pytest.approx(b)


def test_reconstruction_counts_error_in_pixel_ranges_and_codes_by_use(model: Tokenized) -> None:
    values = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = rebuilt(model, values)
    with torch.no_grad():
        codes = model.tokenizer.encode(values)
        error = ((model.tokenizer.decode(codes).clamp(-1, 1) - values) / 2).square().mean()
    assert found.error == pytest.approx(float(error))
    assert found.used == pytest.approx(len(codes.unique()) / 11)
    counts = codes.unique(return_counts=True)[1].double() / codes.numel()
    assert found.perplexity == pytest.approx(float((-(counts * counts.log()).sum()).exp()))
