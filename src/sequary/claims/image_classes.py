"""Template: of two image classifiers of one size, trained alike, the system tells more held-out images.

Tasks: "digits", the ten digits; "marks", images of noise with two marks out of `kinds`, far apart: are they of one kind?
Settings: `task`, with `side` and `kinds` (2 to 4) of marks, and `places`, at so many of which each way a mark may stand (at any unless
given); `learnt`, `choose` and `test` images; `recipes` (arm -> the name of a recipe in the system's file; RECIPE where none is named);
`train` (overrides, the same for both arms); `grid` (learning rates, chosen for each arm by accuracy on `choose` images for the first
seed); `size_gap`, the greatest share by which the arms' parameters may differ: beyond it the trial is broken. Metric `accuracy`; the
floor names the commonest class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sequary.claims.digits import built, frozen
from sequary.claims.forecast_gain import shared
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.data.images import read_images
from sequary.train.loop import fit
from sequary.train.manifest import Chosen
from sequary.train.seeds import generator

CPU = torch.device("cpu")
MARKS = ("111/100/100", "010/111/010", "101/010/101", "111/101/111")
CLASSES = {"digits": 10, "marks": 2}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Images:
    """A `Source`: pixels [N, 1, H, W] in [−1, 1] and classes [N]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Tensor) -> Batch:
        return Batch(values=self.pixels[rows], target=self.labels[rows])


def digits(counts: tuple[int, ...], seed: int) -> list[Images]:
    found = read_images(shared("mnist10k.npz"))
    assert found.labels is not None
    order = np.random.default_rng(seed).permutation(len(found))
    pixels = torch.from_numpy(found.pixels[order]).permute(0, 3, 1, 2).float() / 127.5 - 1
    labels = torch.from_numpy(found.labels[order])
    ends = np.cumsum(counts).tolist()
    return [Images(pixels[end - n : end], labels[end - n : end]) for n, end in zip(counts, ends, strict=True)]


def marks(count: int, side: int, kinds: int, rng: torch.Generator, places: int | None = None) -> Images:
    """One mark in the upper left and one in the lower right quarter, each anywhere in it or at `places` each way; half of the pairs
    are of one kind."""
    shapes = torch.tensor([[[int(c) for c in row] for row in m.split("/")] for m in MARKS]).float()
    first = torch.randint(kinds, (count,), generator=rng)
    same = torch.rand(count, generator=rng) < 0.5
    second = (first + torch.where(same, 0, torch.randint(1, kinds, (count,), generator=rng))) % kinds
    pixels = 0.2 * torch.randn(count, 1, side, side, generator=rng) - 1
    corners = torch.randint(places or side // 2 - 2, (count, 2, 2), generator=rng)
    for row in range(count):
        for which, kind in enumerate((first[row], second[row])):
            y, x = (corners[row, which] + which * (side // 2)).tolist()
            pixels[row, 0, y : y + 3, x : x + 3] += 2 * shapes[kind]
    return Images(pixels, same.long())


def parts(settings: Mapping[str, Any], seed: int) -> list[Images]:
    """(to learn from, to choose by, to test on)."""
    counts = settings["learnt"], settings["choose"], settings["test"]
    if settings["task"] == "digits":
        return digits(counts, seed)
    purposes = zip(counts, ("train", "choose", "test"), strict=True)
    side, kinds, places = settings["side"], settings["kinds"], settings.get("places")
    return [marks(n, side, kinds, generator(CPU, seed, "marks", purpose), places) for n, purpose in purposes]


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    settings, module = claim.settings, load(slug).module
    changes = {path: frozen(value) for path, value in settings["train"].items()}
    found: dict[str, Recipe] = {}
    for arm in ("system", "baseline"):
        recipe = getattr(module, settings["recipes"].get(arm, "RECIPE"))
        assert isinstance(recipe, Recipe)
        found[arm] = recipe.bind({"channels": 1, "classes": CLASSES[settings["task"]]}).but(**changes)
    return found


def trained(recipe: Recipe, rows: Images, rate: float, seed: int) -> Model:
    """In float32, for the steps that the recipe says: no clock decides."""
    recipe = recipe.but(stages__0__train__lr=rate)
    own = recipe.stages[0].train
    chosen = Chosen(precision="full", steps=own.steps, batch=own.batch)
    return fit(built(recipe, seed), recipe.stages[0], rows, seed=seed, progress=False, chosen=chosen).model


@torch.no_grad()
def accuracy(model: Model, rows: Images) -> float:
    model.eval()
    right = 0
    for some in torch.arange(len(rows)).split(250):
        batch = rows.batch(some)
        right += int((model.head(model(batch).hidden).argmax(-1) == batch.target).sum())
    return right / len(rows)


def tune(slug: str, claim: Claim) -> dict[str, float]:
    """The learning rate of each arm."""
    rates: tuple[float, ...] = claim.settings["grid"]
    found = arms(slug, claim)
    if len(rates) == 1:
        return dict.fromkeys(found, rates[0])
    learnt, choose, _ = parts(claim.settings, 0)
    best: dict[str, float] = {}
    for name, recipe in found.items():
        scores = [accuracy(trained(recipe, learnt, rate, 0), choose) for rate in rates]
        best[name] = rates[scores.index(max(scores))]
    return best


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    learnt, _, test = parts(claim.settings, seed)
    found, sizes = dict[str, float](), dict[str, float]()
    for name, recipe in arms(slug, claim).items():
        model = trained(recipe, learnt, chosen[name], seed)
        found[name] = accuracy(model, test)
        sizes[name] = float(sum(p.numel() for p in model.parameters()))
    gap = abs(sizes["system"] - sizes["baseline"]) / sizes["baseline"]
    most = claim.settings.get("size_gap", 0.05)
    broken = "" if gap <= most else f"the arms differ by {gap:.0%} in parameters; at most {most:.0%} is fair"
    floor = float(torch.bincount(test.labels).max()) / len(test)
    also = {f"parameters_{name}": size for name, size in sizes.items()}
    return Trial(seed, found["system"], found["baseline"], floor, broken=broken, also=also)
