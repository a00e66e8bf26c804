"""Comparisons of image generators: what is measured, that chance is told beside, and a probe that finds who looks ahead."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sequary
from sequary.compare.ask import Ask
from sequary.compare.board import Board
from sequary.compare.image_blocks import lay, other
from sequary.compare.makers import Blurred, Codes, GaussianEntrant, Maker, MakerEntrant, Pixels
from sequary.compare.options import BadArgument, options
from sequary.compare.prepare import prepare
from sequary.compare.run import compare
from sequary.compare.tasks.generate import ImageTask
from sequary.core.catalogue import UnknownSystem
from sequary.data.errors import DataError
from sequary.data.images import Images
from sequary.data.roles import Columns
from sequary.tasks.generate.task import Saved
from tests.tasks.generate.bars import CLASSES, bars, own, written

COUNT = 240
ASK = Ask(horizon=1)


def given(folder: Path, **changes: Any) -> Any:
    plain = {"horizon": None, "budget": "8steps", "systems": None, "family": None, "metric": None, "levels": ()}
    return options(**{**plain, "max_latency": None, "max_params": None, "seeds": 1, "out": folder / "out", **changes})


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> ImageTask:
    folder = tmp_path_factory.mktemp("images")
    ready = prepare(str(written(folder, COUNT)), given(folder, systems=["var"]), task="generate", columns=Columns())
    assert isinstance(ready.task, ImageTask)
    return ready.task


@dataclasses.dataclass(frozen=True, slots=True)
class Copies:
    """Makes images by taking them out of some."""

    images: Images
    params: int = 0
    train_s: float = 0.0
    curve: list[Any] = dataclasses.field(default_factory=list)
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict)

    def make(self, codes: Codes, seed: int) -> Pixels:
        assert self.images.labels is not None
        rng = np.random.default_rng(seed)
        return np.stack([rng.permutation(self.images.pixels[self.images.labels == c])[0] for c in codes])


class Honest(GaussianEntrant):
    """Copies what it may learn from."""

    def learn(self, images: Images, stop: int, ask: Ask) -> Maker:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Copies(images.take(slice(stop)))


class CopiesHeldOut(GaussianEntrant):
    """The plant: copies what it is compared with."""

    def learn(self, images: Images, stop: int, ask: Ask) -> Maker:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Copies(images.take(slice(stop, None)))


class AveragesAll(GaussianEntrant):
    """The plant: the mean of all images."""

    def learn(self, images: Images, stop: int, ask: Ask) -> Blurred:
        return GaussianEntrant.learn(self, images, len(images), ask)


@pytest.mark.parametrize("plant", [CopiesHeldOut, AveragesAll])
def test_plants_are_found(task: ImageTask, plant: type[GaussianEntrant]) -> None:
    found = task.probe(plant(), ASK)
    assert len(found) == len(task.roles)
    assert min(found) > 0


@pytest.mark.parametrize("entrant", [GaussianEntrant(), Honest()])
def test_nobody_else_is_accused(task: ImageTask, entrant: Any) -> None:
    assert task.probe(entrant, ASK) == [0.0] * len(task.roles)


def test_the_probe_changes_every_image_and_class_that_is_held_out(task: ImageTask) -> None:
    stop = task.starts[0]
    changed = other(task.images, stop)
    assert task.images.labels is not None
    assert changed.labels is not None
    np.testing.assert_array_equal(changed.pixels[:stop], task.images.pixels[:stop])
    np.testing.assert_array_equal(changed.labels[:stop], task.images.labels[:stop])
    assert (changed.pixels[stop:] != task.images.pixels[stop:]).any((1, 2, 3)).all()
    assert (changed.labels[stop:] != task.images.labels[stop:]).all()


def test_real_images_are_nearer_than_a_gaussian_and_their_distance_is_the_measure(task: ImageTask) -> None:
    real, blurred = (task.run(entrant, "board", ASK).means() for entrant in (Honest(), GaussianEntrant()))
    assert real["frechet"] < 0.3 * blurred["frechet"]
    assert 0.3 < real["times_real"] < 3
    assert real["wrong_class"] < 0.1


def test_a_gaussian_has_the_moments_of_its_class() -> None:
    pixels, names = bars(300)
    codes = np.array([CLASSES.index(n) for n in names])
    images = Images(pixels[..., None], codes, CLASSES)
    learned = GaussianEntrant().learn(images, 200, ASK)
    part = pixels[:200][codes[:200] == 1].astype(float)
    made = learned.make(np.full(4000, 1), 0)[..., 0].astype(float)
    np.testing.assert_allclose(made.mean(0), part.mean(0), atol=6)  # a little is cut off at 0 and 255
    np.testing.assert_array_equal(learned.make(codes[:5], 3), learned.make(codes[:5], 3))
    assert (learned.make(codes[:5], 3) != learned.make(codes[:5], 4)).any()


@pytest.mark.parametrize(
    ("count", "size", "blocks"), [(200, 40, 2), (1797, 102, 7), (10_000, 250, 12), (60_000, 250, 12)]
)
def test_blocks_end_with_the_images_and_leave_more_than_half_to_learn_from(count: int, size: int, blocks: int) -> None:
    found, starts, folds = lay(count)
    assert (found, len(starts), len(folds)) == (size, blocks, blocks)
    assert starts[-1] + size == count
    assert set(np.diff(starts)) == {size}
    assert starts[0] >= 0.6 * count
    assert [f.role for f in folds] == sorted((f.role for f in folds), reverse=True)  # choice, then board


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Board, Path]:
    folder = tmp_path_factory.mktemp("compared")
    data, system = written(folder, COUNT), own(folder, "rar")
    out = folder / "out"
    return compare(str(data), task="generate", systems=[system], budget="8steps", seeds=1, out=out), out


def test_a_whole_comparison(made: tuple[Board, Path]) -> None:
    board, out = made
    assert (board.task, board.metric, board.floors) == ("generate", "frechet", ["class-gaussian"])
    assert {c.status for c in board.candidates} == {"ok"}
    for c in board.candidates:
        assert c.metrics.keys() == {"frechet", "times_real", "wrong_class"}
        assert c.latency_ms > 0
    assert board.leak.max_shift == 0.0
    assert board.leak.by_fold == [0.0] * len(board.folds)
    assert board.data["classifier's accuracy"] > 0.8
    assert "Fréchet distance" in (out / "report.html").read_text()


def test_the_best_system_is_saved_and_makes_images(made: tuple[Board, Path]) -> None:
    board, out = made
    saved = sequary.load(out / board.manifest["refit"]["folder"])
    assert isinstance(saved, Saved)
    assert saved.generate(2, label="down").shape == (2, 6, 6)


def test_a_system_tries_the_rate_of_its_prior() -> None:
    found = MakerEntrant("var", "VAR").settings()
    assert len(found) > 1
    assert all(key.startswith("stages__1__") for setting in found for key in setting)


def test_what_cannot_be_compared_is_refused_with_the_mend(tmp_path: Path) -> None:
    def refused(file: Path, columns: Columns = Columns(), **changes: Any) -> None:
        prepare(str(file), given(tmp_path, **changes), task="generate", columns=columns)

    data = written(tmp_path, COUNT)
    with pytest.raises(BadArgument, match="no season and no horizon; leave them out"):
        refused(data, horizon=3)
    with pytest.raises(BadArgument, match="no columns"):
        refused(data, Columns(target=("a",)))
    with pytest.raises(BadArgument, match="boards of generators rank by frechet"):
        refused(data, metric="mae")
    with pytest.raises(UnknownSystem, match="makes none; choose var"):
        refused(data, systems=["gpt"])
    images, labels = bars(COUNT)
    np.savez(tmp_path / "bare.npz", images=images)
    with pytest.raises(DataError, match="no labels"):
        refused(tmp_path / "bare.npz")
    np.savez(tmp_path / "few.npz", images=images[:100], labels=labels[:100])
    with pytest.raises(DataError, match="100 images; at least 200"):
        refused(tmp_path / "few.npz")
