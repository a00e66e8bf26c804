"""Digits of 6 × 6 pixels, which come with scikit-learn, where the claims read those of 28 × 28."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sequary.claims import digits
from sequary.data.images import ImageRows, Images
from sequary.tasks.frechet import STAGE, Yardstick, yardstick


def read(path: Path) -> Images:
    flat, labels = load_digits(return_X_y=True)
    pixels = (np.asarray(flat) * 15).astype(np.uint8).reshape(-1, 8, 8, 1)[:, 1:7, 1:7]
    return Images(pixels, np.asarray(labels, dtype=np.int64), tuple("0123456789"))


def quick(learnt: ImageRows, held: ImageRows) -> Yardstick:
    return yardstick(learnt, held, stage=dataclasses.replace(STAGE, train=dataclasses.replace(STAGE.train, steps=150)))


def replace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "shared", Path)
    monkeypatch.setattr(digits, "read_images", read)
    monkeypatch.setattr(digits, "yardstick", quick)
    for kept in (digits.digits, digits.classifier, digits.tokenizer):
        kept.cache_clear()
