"""Image generation as a task: images in, a model that makes more of them out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sequary.core.contracts import Decoder, Model
from sequary.core.recipe import Recipe
from sequary.data.images import Images, is_images, read_images
from sequary.tasks import task
from sequary.tasks.generate.contract import Contract
from sequary.tasks.generate.fitted import Fitted
from sequary.tasks.generate.train import refuses, train
from sequary.tasks.sampling import Sampling
from sequary.tasks.task import Asked, Tell

__all__ = ["CONTRACT", "DATA", "SAVED", "fit", "reads", "refuses", "reopen"]

DATA = "images (an .npz, or a folder of class folders)"
CONTRACT = Contract


class Saved(task.Saved):
    verbs = ("generate(n)",)
    fitted: Fitted

    def generate(
        self,
        n: int,
        *,
        label: str | int | None = None,
        seed: int = 0,
        temperature: float | None = None,
        guidance: float | None = None,
        top_k: int | None = None,
    ) -> NDArray[np.uint8]:
        """[n, H, W] of grey images, [n, H, W, 3] of colour ones, by the recipe's decoder.

        `label`: the name of a class (`classes` lists them); None: the classes in turn, or none where there are none. Options
        that the model's decoder has no place for are refused.
        """
        if n < 1:
            raise ValueError(f"n={n}: at least one image is needed")
        if guidance is not None and not self.fitted.classes:
            raise ValueError("--guidance has no effect on a model without classes; leave it out")
        decode = self._decode(Sampling(temperature=temperature, guidance=guidance, top_k=top_k))
        found = self.fitted.draw(self.codes(n, label), decode=decode, seed=seed)
        return found[..., 0] if self.fitted.channels == 1 else found

    @property
    def classes(self) -> tuple[str, ...]:
        return self.fitted.classes

    def codes(self, n: int, label: str | int | None) -> NDArray[np.int64]:
        """The numbers of the classes that `generate` draws."""
        if label is None:
            return np.arange(n) % max(1, len(self.classes))
        if str(label) not in self.classes:
            raise ValueError(f"--class {label}: {_known(self.classes)}")
        return np.full(n, self.classes.index(str(label)))

    def _decode(self, asked: Sampling) -> Decoder:
        decode = self.fitted.recipe.decode
        assert decode is not None  # `refuses`
        return asked.of(decode, f"{type(decode).__name__}, which draws for {self.folder}")


def _known(classes: tuple[str, ...]) -> str:
    if not classes:
        return "the model learnt from images without classes; leave it out"
    more = "" if len(classes) <= 20 else f" … ({len(classes)} in all)"
    return f"the model's classes are {', '.join(classes[:20])}{more}"


SAVED = Saved


def reads(path: str) -> bool:
    return is_images(path)


def fit(recipe: Recipe, data: str, asked: Asked, tell: Tell) -> Fitted:
    asked.refuse("generate", horizon="--horizon", context="--context", levels="--level", columns="a column")
    images = read_images(data)
    tell(understood(images, data))
    return train(recipe, images, asked.training(), tell=tell)


def understood(images: Images, path: str) -> str:
    """In one line."""
    count, height, width, channels = images.pixels.shape
    kind = "grey" if channels == 1 else "colour"
    classes = f"{len(images.classes)} classes" if images.classes else "no labels, so no classes"
    return f"{path}: {count:,} {kind} images of {height} × {width} pixels, {classes}; a tenth is held out"


def reopen(recipe: Recipe, model: Model, contract: Contract) -> Fitted:
    reason = refuses(recipe)
    if reason is not None:
        raise ValueError(reason)
    return Fitted(
        recipe=recipe, model=model, context=contract.context, record=contract.record.record(), **contract.known()
    )
