"""Generators from images to a folder and back: both stages, the same images from the same seed, what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sequary
from sequary.data.errors import DataError
from sequary.data.images import ImageRows, Images
from sequary.models.tokenized import tokenized
from sequary.tasks.generate.fitted import Fitted
from sequary.tasks.generate.pictures import PAPER, grid
from sequary.tasks.generate.task import Saved
from sequary.tasks.generate.train import refuses, side, train
from sequary.tasks.image_tokens import rebuilt
from sequary.tasks.saved import SavedError, save
from sequary.tasks.task import OtherTask, Tell
from sequary.tasks.training import Training
from tests.tasks.generate.bars import CLASSES, GENERATORS, bars, tiny


def images(count: int = 60, edge: int = 6, *, labelled: bool = True) -> Images:
    pixels, names = bars(count, edge)
    codes = np.array([CLASSES.index(name) for name in names])
    return Images(pixels[..., None], codes, CLASSES) if labelled else Images(pixels[..., None])


def fitted(slug: str = "var", given: Images | None = None, tell: Tell = lambda line: None, **changes: Any) -> Fitted:
    return train(
        tiny(slug), images() if given is None else given, Training(**{"seed": 0, "steps": 3, **changes}), tell=tell
    )


@pytest.fixture(scope="module", params=GENERATORS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Fitted, Saved]:
    """As fitted, and as it comes out of its folder."""
    made = fitted(request.param)
    folder = tmp_path_factory.mktemp("model") / "m"
    save(made, folder)
    again = sequary.load(folder)
    assert isinstance(again, Saved)
    return made, again


def test_a_saved_generator_makes_what_the_fitted_one_does(pair: tuple[Fitted, Saved]) -> None:
    made, saved = pair
    decode = made.recipe.decode
    assert decode is not None
    found = saved.generate(5, label="down", seed=3)
    assert (found.shape, found.dtype) == ((5, 6, 6), np.uint8)
    down = np.full(5, CLASSES.index("down"))
    np.testing.assert_array_equal(found, made.draw(down, decode=decode, seed=3)[..., 0])
    np.testing.assert_array_equal(found, saved.generate(5, label="down", seed=3))
    assert (found != saved.generate(5, label="down", seed=4)).any()
    assert saved.classes == CLASSES
    assert saved.fitted.rebuilt == made.rebuilt


def test_classes_come_in_turn_where_none_is_named(pair: tuple[Fitted, Saved]) -> None:
    assert pair[1].codes(4, None).tolist() == [0, 1, 2, 0]


def test_an_option_reaches_the_decoder_or_is_refused(pair: tuple[Fitted, Saved]) -> None:
    saved = pair[1]
    plain = saved.generate(6, label="down")
    assert (saved.generate(6, label="down", temperature=0.1) != plain).any()
    assert (saved.generate(6, label="down", guidance=30.0) != plain).any()
    if saved.fitted.recipe.model.get("prior").name == "MaskedLatents":
        with pytest.raises(ValueError, match="--top-k has no effect on MaskedGroups"):
            saved.generate(1, top_k=3)
    else:
        greedy = saved.generate(3, label="down", temperature=0, seed=0)
        np.testing.assert_array_equal(greedy, saved.generate(3, label="down", temperature=0, seed=1))
        np.testing.assert_array_equal(greedy, saved.generate(3, label="down", top_k=1))
        with pytest.raises(ValueError, match="--top-k has no effect"):
            saved.generate(1, temperature=0, top_k=3)
    with pytest.raises(ValueError, match="--temperature nan: a finite number"):
        saved.generate(1, temperature=math.nan)
    with pytest.raises(ValueError, match="--guidance nan: a finite number"):
        saved.generate(1, guidance=math.nan)


def test_both_stages_learn_and_the_second_leaves_the_tokenizer_as_it_was(tmp_path: Path) -> None:
    said: list[str] = []
    ratio = {"stages__0__train__steps": 200, "stages__1__train__steps": 300}
    made = fitted("rar", steps=12, settings=ratio, folder=tmp_path / "run", tell=said.append)
    stages = [json.loads((tmp_path / "run" / s / "manifest.json").read_text()) for s in ("tokenizer", "prior")]
    assert [s["chosen"]["steps"] for s in stages] == [8, 12]
    assert said[0].startswith("tokenizer: reconstruction error ")
    assert "of the codes used, perplexity" in said[0]
    held = ImageRows(images().parts()[1], side=6)
    assert rebuilt(made.model, held.batch(torch.arange(6)).values) == made.rebuilt  # measured before the prior learnt
    assert made.record.curve[-1][0] == 12
    again = fitted("rar", steps=12, settings=ratio, folder=tmp_path / "run")
    for one, two in zip(made.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_generator_learns_its_classes() -> None:
    """A tokenizer and prior that are trained make bars of the class that is asked for."""
    recipe = tiny("rar").but(dim=32, model__tokenizer__coder__width=16, stages__1__train__lr=3e-3)
    made = train(recipe, images(600), Training(seed=0, steps=250))
    assert made.rebuilt.error < 0.03
    decode = made.recipe.decode
    assert decode is not None
    found = made.draw(np.repeat([0, 1], 40), decode=decode, seed=0)[..., 0].astype(float)
    across, down = np.abs(np.diff(found, axis=2)).mean((1, 2)), np.abs(np.diff(found, axis=1)).mean((1, 2))
    right = np.concatenate([down[:40] > across[:40], across[40:] > down[40:]])
    assert right.mean() > 0.85


def test_the_held_out_tenth_is_not_learnt_from() -> None:
    one, two = images(), images()
    held = np.random.default_rng(0).permutation(60)[:6]
    two.pixels[held] = 255 - two.pixels[held]
    first, second = fitted(given=one), fitted(given=two)
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert first.rebuilt != second.rebuilt


def test_images_that_are_smaller_than_the_model_are_framed_and_cut() -> None:
    made = fitted(given=images(edge=5))
    decode = made.recipe.decode
    assert decode is not None
    assert (made.context, made.height, made.width) == (6, 5, 5)
    assert made.draw(np.zeros(2, int), decode=decode, seed=0).shape == (2, 5, 5, 1)


@pytest.mark.parametrize("slug", GENERATORS)
def test_the_side_is_what_the_tokenizer_gives_back(slug: str) -> None:
    from sequary.core.catalogue import load

    whole = load(slug).recipe
    assert whole is not None
    for recipe, edge in ((whole, 28), (tiny(slug), 6)):
        assert side(recipe.bind({"channels": 1, "classes": 3})) == edge
    tokenizer = tokenized(tiny(slug).bind({"channels": 1, "classes": 3}).build()).tokenizer
    assert tokenizer.decode(tokenizer.encode(torch.zeros(1, 1, 6, 6))).shape == (1, 1, 6, 6)


def test_images_without_classes_are_made_without(tmp_path: Path) -> None:
    save(fitted(given=images(labelled=False)), tmp_path / "m")
    saved = sequary.load(tmp_path / "m")
    assert isinstance(saved, Saved)
    assert saved.generate(2).shape == (2, 6, 6)
    with pytest.raises(ValueError, match="images without classes; leave it out"):
        saved.generate(2, label="down")
    with pytest.raises(ValueError, match="--guidance has no effect on a model without classes"):
        saved.generate(2, guidance=2.0)


def test_colour_stays_colour() -> None:
    grey = images()
    given = Images(grey.pixels.repeat(3, 3), grey.labels, grey.classes)
    decode = (made := fitted(given=given)).recipe.decode
    assert decode is not None
    assert made.draw(np.zeros(2, int), decode=decode, seed=0).shape == (2, 6, 6, 3)


def test_what_cannot_be_done_is_refused_with_the_mend(pair: tuple[Fitted, Saved]) -> None:
    saved = pair[1]
    for n in (0, -3):
        with pytest.raises(ValueError, match="at least one image"):
            saved.generate(n)
    with pytest.raises(ValueError, match="the model's classes are across, down, slant"):
        saved.generate(1, label="up")
    with pytest.raises(OtherTask, match=r"use generate\(n\)"):
        saved.predict("x.csv")
    with pytest.raises(DataError, match="images of 8 × 8 pixels do not fit the model's 6 × 6"):
        fitted(given=images(edge=8))


def test_who_makes_images() -> None:
    from sequary.core.catalogue import load

    for slug in GENERATORS:
        recipe = load(slug).recipe
        assert recipe is not None
        assert refuses(recipe) is None
        assert "needs a decoder" in str(refuses(recipe.but(decode=None)))
    gpt = load("gpt").recipe
    assert gpt is not None
    assert "makes none; choose var" in str(refuses(gpt))


def test_a_folder_with_another_recipe_is_refused(tmp_path: Path) -> None:
    save(fitted(), tmp_path / "m")
    table = json.loads((tmp_path / "m" / "recipe.json").read_text())
    table["with"]["decode"] = None
    (tmp_path / "m" / "recipe.json").write_text(json.dumps(table))
    with pytest.raises(SavedError, match="needs a decoder"):
        sequary.load(tmp_path / "m")


def test_a_picture_holds_every_image_in_its_place() -> None:
    made = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((5, 60, 60), np.uint8)
    picture = grid(made, columns=3)
    assert picture.shape == (121, 182)
    assert [int(picture[0, x]) for x in (0, 60, 61, 181)] == [0, PAPER, 1, 2]
    assert [int(picture[120, x]) for x in (0, 61, 181)] == [3, 4, PAPER]
    assert grid(made[:4]).shape == (121, 121)
    assert grid(np.zeros((1, 8, 8, 3), np.uint8)).shape == (56, 56, 3)
