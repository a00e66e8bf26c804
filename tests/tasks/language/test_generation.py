"""Texts continued from a prompt: within the window that was learnt, by each decoder, the same from the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import sequary
from sequary.backbones.stack import BLOCK, Stack
from sequary.builders import language_model
from sequary.core.catalogue import load
from sequary.core.part import part
from sequary.core.recipe import Recipe, Train
from sequary.core.values import Batch
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.generation import Checked, Written, check, write
from sequary.tasks.language.task import Saved
from sequary.tasks.language.train import train
from sequary.tasks.sampling import Sampling
from sequary.tasks.saved import save
from sequary.tasks.training import Training

SENTENCE = b"to be or not to be, that is the question. "
TEXT = np.frombuffer(SENTENCE * 60, np.uint8)
PLAIN = Sampling()
GREEDY = Sampling(temperature=0)
GPT = language_model(dim=32, depth=1, blocks=(BLOCK,), train=Train(lr=1e-2, batch=8, steps=150, warmup=0.1))


def fitted(recipe: Recipe = GPT, steps: int = 150, context: int = 16) -> Fitted:
    return train(recipe, TEXT, Training(context=context, seed=0, steps=steps))


@pytest.fixture(scope="module")
def gpt() -> Fitted:
    return fitted()


@pytest.fixture(scope="module")
def several() -> Fitted:
    recipe = load("blockwise-parallel-decoding").recipe
    assert recipe is not None
    small = recipe.but(dim=32, model__backbone=part(Stack, depth=1, blocks=(BLOCK,)), stages__0__train__batch=8)
    return fitted(small.but(stages__0__train__lr=1e-2), steps=400)


def slowly(fit: Fitted, prompt: bytes, n: int) -> bytes:
    """The likeliest byte, one forward pass of a window each."""
    text, start = prompt, 0
    while len(text) < len(prompt) + n:
        if len(text) == len(prompt) or len(text) - start >= fit.context:
            start = max(0, len(text) - fit.context // 2)
        ids = torch.tensor([list(text[start:])])
        with torch.no_grad():
            text += bytes([int(fit.model.head(fit.model(Batch(values=ids)).hidden)[0, -1].argmax())])
    return text[len(prompt) :]


@pytest.mark.parametrize("prompt", [b"t", b"to be or", b"to be or not to be, that is"])
def test_the_likeliest_bytes_are_those_of_full_passes_over_the_window(gpt: Fitted, prompt: bytes) -> None:
    found = write(gpt, prompt, 40, sampling=GREEDY)
    assert found.raw == slowly(gpt, prompt, 40)
    assert found.calls == 40
    assert found.prompt == prompt


def test_what_was_learnt_is_written(gpt: Fitted) -> None:
    assert write(gpt, "to be or", 34, sampling=GREEDY).text == SENTENCE.decode()


def test_no_model_reads_more_than_its_window() -> None:
    fit, longest = fitted(steps=1), 0
    step = fit.model.step

    def watched(values: torch.Tensor, state: object, *more: object):
        nonlocal longest
        output, after = step(values, state, *more)  # pyright: ignore[reportArgumentType]
        longest = max(longest, after.steps)  # pyright: ignore[reportAttributeAccessIssue]
        return output, after

    fit.model.step = watched  # pyright: ignore[reportAttributeAccessIssue]
    assert len(write(fit, b"x" * 50, 100, sampling=PLAIN).raw) == 100
    assert longest == fit.context - 1  # the last byte that is written is not read


@pytest.mark.parametrize("context", [1, 2, 3])
def test_the_smallest_windows_write_too(context: int) -> None:
    assert len(write(fitted(steps=1, context=context), b"to be", 7, sampling=PLAIN).raw) == 7


def test_seed_temperature_and_top_k_decide(gpt: Fitted) -> None:
    hot = Sampling(temperature=3.0)
    texts = [write(gpt, "to", 40, seed=seed, sampling=hot).raw for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert write(gpt, "to", 40, seed=5, sampling=Sampling(temperature=3.0, top_k=1)).raw == slowly(gpt, b"to", 40)
    assert write(gpt, "to", 40, seed=5, sampling=Sampling(temperature=1e-4)).raw == slowly(gpt, b"to", 40)


def test_blocks_write_the_greedy_text_in_fewer_calls(several: Fitted) -> None:
    found = write(several, "to be or", 60, sampling=PLAIN)
    assert found.decode == "blockwise"
    assert found.raw == slowly(several, b"to be or", 60)
    checked = check(several, found)
    assert checked.differs is None
    assert checked.stepwise.calls == 60
    assert found.calls < 40


def test_a_difference_is_found_where_it_is(gpt: Fitted) -> None:
    one, other = (Written(b"x", raw, "blockwise", 1, 1.0) for raw in (b"abcd", b"abxd"))
    assert Checked(one, other).differs == 2
    with pytest.raises(ValueError, match="--check compares what is written in blocks"):
        check(gpt, write(gpt, "to", 2, sampling=PLAIN))


def test_beam_search_finds_no_less_likely_a_text_than_the_greedy_one(gpt: Fitted) -> None:
    def bits(raw: bytes) -> float:
        return float(gpt.bits(np.frombuffer(raw, np.uint8), np.frombuffer(b"qu", np.uint8)).sum())

    beam = write(gpt, b"qu", 10, decode="beam", sampling=PLAIN)
    assert bits(beam.raw) <= bits(write(gpt, b"qu", 10, sampling=GREEDY).raw) + 1e-4


def test_broken_utf_8_is_shown_replaced() -> None:
    assert Written("ö".encode(), b"\xc3", "stepwise", 1, 0.0).text == "ö\ufffd"
    assert Written(b"\xc3", b"\xb6", "stepwise", 1, 0.0).text == "ö"


@pytest.mark.parametrize("slug", ["megabyte", "gla", "mamba"])
def test_a_saved_model_writes_what_the_fitted_one_does(slug: str, tmp_path: Path) -> None:
    recipe = load(slug).recipe
    assert recipe is not None
    small = {k: v for k, v in recipe.tiny if not k.endswith("vocab")}
    fit = fitted(recipe.but(**small), steps=2)
    save(fit, tmp_path / "m")
    saved = sequary.load(tmp_path / "m")
    assert isinstance(saved, Saved)
    assert saved.generate("to be", 25, seed=1).raw == write(fit, "to be", 25, seed=1, sampling=PLAIN).raw
    assert saved.generate("to be", 25, temperature=0).raw == slowly(fit, b"to be", 25)
