"""Template: of two classifiers of one size, the system tells more handwritten digits from the series of their pixels.

MNIST digits brought to `side` × `side` pixels by means, read row by row: `side`² steps of one channel. Arms by `recipes` (arm -> the name
of a recipe in the system's file); `learnt`, `choose` and `test` images; `train` (overrides, the same for both); `grid` (learning rates,
chosen for each arm by accuracy on `choose` images for the first seed). Metric `accuracy`, the floor guesses. Exact parts: the two
differ by at most 5 % in parameters; what makes the kernels of the system has fewer parameters than a free kernel of that length; and
its kernels differ between two images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

from sequary.claims.digits import frozen
from sequary.claims.image_classes import Images, accuracy, digits, trained
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.recipe import Recipe
from sequary.mixers.conv.hyper import HyperConv
from sequary.mixers.conv.local_hyper import LocalHyper

APART = 0.05


def parts(settings: Mapping[str, Any], seed: int) -> list[Images]:
    """(to learn from, to choose by, to test on)."""
    counts, factor = (settings["learnt"], settings["choose"], settings["test"]), 28 // settings["side"]
    return [
        Images(F.avg_pool2d(some.pixels, factor).flatten(1)[..., None], some.labels) for some in digits(counts, seed)
    ]


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    settings, module = claim.settings, load(slug).module
    changes = {path: frozen(value) for path, value in settings["train"].items()}
    found: dict[str, Recipe] = {}
    for arm in ("system", "baseline"):
        recipe = getattr(module, settings["recipes"][arm])
        assert isinstance(recipe, Recipe)
        found[arm] = recipe.bind({"channels": 1, "classes": 10}).but(**changes)
    return found


def tune(slug: str, claim: Claim) -> dict[str, float]:
    """The learning rate of each arm."""
    rates: tuple[float, ...] = claim.settings["grid"]
    found = arms(slug, claim)
    if len(rates) == 1:
        return dict.fromkeys(found, rates[0])
    learnt, choose, _ = parts(claim.settings, 0)
    return {
        name: max(rates, key=lambda rate, r=recipe: accuracy(trained(r, learnt, rate, 0), choose))
        for name, recipe in found.items()
    }


def broken(system: Model, baseline: Model, rows: Images) -> str:
    sizes = [sum(p.numel() for p in m.parameters()) for m in (system, baseline)]
    if abs(sizes[0] - sizes[1]) > APART * sizes[1]:
        return f"{sizes[0]} parameters against {sizes[1]}: level them"
    length, (first, second) = rows.pixels.shape[1], torch.randn(2, 1, rows.pixels.shape[1], 1)
    for conv in system.modules():
        if isinstance(conv, HyperConv):
            made, free = sum(p.numel() for p in conv.slow.parameters()), length * conv.fast.in_features
            if made >= free:
                return f"{made} parameters make a kernel of {free}"
        if isinstance(conv, LocalHyper):
            wide = conv.mix.in_features
            with torch.no_grad():
                kernels = [conv.kernel(x.expand(-1, -1, wide), Ctx()) for x in (first, second)]
            if torch.equal(*kernels):
                return "two inputs have the same kernel"
    return ""


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    learnt, _, test = parts(claim.settings, seed)
    models = {name: trained(recipe, learnt, chosen[name], seed) for name, recipe in arms(slug, claim).items()}
    right = {name: accuracy(model, test) for name, model in models.items()}
    said = broken(models["system"], models["baseline"], test)
    return Trial(seed, right["system"], right["baseline"], 0.1, broken=said)
