from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sequary.backbones.stack import BLOCK
from sequary.builders import language_model
from sequary.core.catalogue import load
from sequary.core.recipe import Train
from sequary.core.values import Batch
from sequary.tasks.language.train import Fitted, TextWindows, train
from sequary.tasks.training import Training

RECIPE = language_model(dim=16, depth=1, blocks=(BLOCK,), train=Train(lr=1e-2, batch=8, steps=60, warmup=0.1))


def text(size: int) -> np.ndarray:
    return np.resize(np.frombuffer(b"to be or not to be, that is the question. ", np.uint8), size)


def fitted(data: NDArray[np.uint8] = text(2000), **changes: Any):
    return train(RECIPE, data, Training(**{"context": 16, "seed": 0, **changes}))


def slow_bits(fit: Fitted, stream: NDArray[np.uint8], first: int):
    """Byte by byte, with the context that `bits` promises."""
    size, step = fit.context, fit.context // 2
    cost = []
    for i in range(first, len(stream)):
        if i == 0:
            cost.append(8.0)
            continue
        end = min(size + max(0, math.ceil((i - size) / step)) * step, max(len(stream) - 1, 1))
        begin = max(end - size, 0)
        ids = torch.from_numpy(stream[begin:i].astype(np.int64))[None]
        with torch.no_grad():
            logits = fit.model.head(fit.model(Batch(values=ids)).hidden)[0, -1]
        cost.append(-float(logits.double().log_softmax(-1)[stream[i]]) / math.log(2))
    return cost


@pytest.mark.parametrize("size", [1, 2, 9, 16, 17, 18, 40, 300])
def test_bits_are_exact_over_all_bytes(size: int):
    fit = fitted(steps=3)
    data = np.random.default_rng(size).integers(0, 256, size).astype(np.uint8)
    found = fit.bits(data)
    assert found.shape == (size,)
    np.testing.assert_allclose(found, slow_bits(fit, data, 0), atol=1e-5)
    assert fit.bits_per_byte(data) == found.mean()


@pytest.mark.parametrize("before", [1, 5, 16, 100])
def test_bytes_before_the_data_are_read_but_not_scored(before: int):
    fit = fitted(steps=3)
    rng = np.random.default_rng(before)
    data, known = (rng.integers(0, 256, n).astype(np.uint8) for n in (50, before))
    found = fit.bits(data, known)
    np.testing.assert_allclose(found, slow_bits(fit, np.concatenate([known[-16:], data]), len(known[-16:])), atol=1e-5)


def test_learning_helps_and_repeats_itself():
    data = text(3000)
    fit, again = fitted(data[:2500]), fitted(data[:2500])
    bits = fit.bits_per_byte(data[2500:], data[:2500])
    assert bits < 3
    assert bits == again.bits_per_byte(data[2500:], data[:2500])
    assert fitted(data[:2500], seed=1, steps=20).bits_per_byte(data[2500:]) != bits
    assert fit.params == sum(p.numel() for p in fit.model.parameters())
    assert fit.curve[-1][0] == 60


def test_windows_pair_each_byte_with_the_next():
    batch = TextWindows(np.arange(10, dtype=np.uint8), context=3).batch(torch.tensor([0, 6]))
    assert batch.values.tolist() == [[0, 1, 2], [6, 7, 8]]
    assert batch.target is not None
    assert batch.target.tolist() == [[1, 2, 3], [7, 8, 9]]


def test_the_held_out_tenth_is_not_learnt_from():
    data = text(2000)
    other = data.copy()
    other[1800:] = 200
    one, two = (fitted(d, steps=10, settings={"stages__0__train__patience": None}) for d in (data, other))
    assert one.bits_per_byte(data) == two.bits_per_byte(data)


def test_what_cannot_be_learnt_from_is_refused():
    with pytest.raises(ValueError, match="context=16 needs 34 bytes of text, these are 30"):
        fitted(text(30))
    with pytest.raises(ValueError, match="context=0"):
        fitted(context=0)
    with pytest.raises(ValueError, match="no byte to score"):
        fitted(steps=1).bits(text(0))


@pytest.mark.parametrize(
    ("name", "reason"), [("linformer", "not the next symbol"), ("deep-encoder-shallow-decoder", "source text")]
)
def test_what_reads_ahead_has_no_bits_per_byte(name: str, reason: str) -> None:
    recipe = load(name).recipe
    assert recipe is not None
    with pytest.raises(ValueError, match=reason):
        train(recipe, np.zeros(4000, np.uint8), Training(seed=0, steps=1))
