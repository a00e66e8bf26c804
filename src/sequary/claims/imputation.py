"""Template: estimates of missing entries are better than those of a twin, on windows of correlated sines.

Every window mixes `sources` sines of its own frequencies and phases into `channels` channels by a matrix that the seed draws,
with noise (settings: `data`). Of each window a share is missing, one of `missing`, at random entries or in blocks of `block`
steps a channel, in turn. They are missing in training too: the recipe's own objective hides others. Metric `mae`: error of
the final estimate on all missing entries of the test windows, in units of the data's deviation.

The twin is the same recipe with `baseline` put into it. Beside them, outside the verdict: the system `rival` with as many steps, and
the mean. All have the learning rate of `grid` that is best on validation, by the first seed. Floor: linear interpolation in time. Exact
part: with the mask no step looks at itself in any attention map, and without it steps do.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.objectives.masked_values import spans
from sequary.train.evaluation import evaluate
from sequary.train.loop import fit
from sequary.train.seeds import derive, forked, generator

CPU = torch.device("cpu")
ROWS = {"train": 2000, "validation": 500, "test": 1000}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Sines:
    """N windows of T steps: the truth, what of it is observed, and which have blocks missing."""

    truth: Tensor
    observed: Tensor
    blocks: Tensor

    def __len__(self) -> int:
        return len(self.truth)

    def batch(self, rows: Tensor) -> Batch:
        observed = self.observed[rows]
        return Batch(values=self.truth[rows] * observed, observed=observed)


def sines(settings: Mapping[str, Any], seed: int, part: str) -> Sines:
    """Parts of one seed share the mixing matrix, and nothing else."""
    rows, length, channels, sources = ROWS[part], settings["context"], settings["channels"], settings["sources"]
    mix_KC = torch.randn(sources, channels, generator=generator(CPU, seed, "mix")) / sources**0.5
    rng = generator(CPU, seed, part)
    period, phase = 6 + 18 * torch.rand(rows, 1, sources, generator=rng), torch.rand(rows, 1, sources, generator=rng)
    wave_NTK = 2**0.5 * torch.sin(2 * torch.pi * (torch.arange(length)[:, None] / period + phase))
    truth = wave_NTK @ mix_KC + settings["noise"] * torch.randn(rows, length, channels, generator=rng)
    missing = torch.zeros(truth.shape, dtype=torch.bool)
    kinds = list(itertools.product(settings["missing"], (False, True)))
    for turn, (rate, block) in enumerate(kinds):
        mine = torch.arange(turn, rows, len(kinds))
        shape = (len(mine), length, channels)
        drawn = torch.rand(shape, generator=rng) < rate
        missing[mine] = spans(*shape, rate=rate, mean=settings["block"], rng=rng) if block else drawn
    return Sines(truth / truth.std(), ~missing, torch.arange(rows) % 2 == 1)


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    recipe, rival = load(slug).recipe, load(claim.settings["rival"]).recipe
    assert recipe is not None
    assert rival is not None
    own = recipe.but(**claim.settings["system"])
    steps = {"stages__0__train__steps": own.stages[0].train.steps}
    found = {"system": own, "baseline": own.but(**claim.settings["baseline"]), "rival": rival.but(**steps)}
    sizes = {"context": claim.settings["data"]["context"], "channels": claim.settings["data"]["channels"]}
    return {arm: recipe.bind(sizes) for arm, recipe in found.items()}


def learnt(recipe: Recipe, claim: Claim, chosen: Mapping[str, Any], seed: int) -> tuple[Model, float]:
    """Trained with early stopping, and its loss on validation."""
    recipe = recipe.but(**chosen)
    train, validation = (sines(claim.settings["data"], seed, part) for part in ("train", "validation"))
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        model = recipe.build()
    fit(model, recipe.stages[0], train, validation, seed=seed, progress=False)
    return model, evaluate(model, recipe.stages[0].objective, validation, batch=250, seed=0)


def tune(slug: str, claim: Claim) -> dict[str, dict[str, Any]]:
    """For each arm the settings of the grid that are best on validation."""
    grid: Mapping[str, tuple[Any, ...]] = claim.settings["grid"]
    options = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    best: dict[str, dict[str, Any]] = {}
    for arm, recipe in arms(slug, claim).items():
        scores = [learnt(recipe, claim, o, 0)[1] for o in options] if len(options) > 1 else [0.0]
        best[arm] = options[scores.index(min(scores))]
    return best


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    test = sines(claim.settings["data"], seed, "test")
    models = {arm: learnt(recipe, claim, chosen[arm], seed)[0] for arm, recipe in arms(slug, claim).items()}
    said = {arm: estimates(model, test) for arm, model in models.items()}
    said |= {"floor": interpolated(test), "mean": torch.zeros_like(test.truth)}
    found = {arm: error(x, test, torch.ones(len(test), dtype=torch.bool)) for arm, x in said.items()}
    also = {arm: found[arm] for arm in ("rival", "mean")}
    also |= {f"{arm}, blocks": error(x, test, test.blocks) for arm, x in said.items()}
    also |= {f"{arm}, entries": error(x, test, ~test.blocks) for arm, x in said.items()}
    own, twin = (diagonal(models[arm], test) for arm in ("system", "baseline"))
    broken = "" if own == 0.0 < twin else f"a step gives itself weight {own:.3g} with the mask, {twin:.3g} without"
    return Trial(seed, found["system"], found["baseline"], found["floor"], broken=broken, also=also)


@torch.no_grad()
def estimates(model: Model, test: Sines) -> Tensor:
    rows = torch.arange(len(test)).split(250)
    return torch.cat([model.head.mean(model(test.batch(r)).hidden) for r in rows])


def interpolated(test: Sines) -> Tensor:
    """The line between the neighbours in time, the nearest value at the ends, 0 (the mean) where a channel has none."""
    truth, known = test.truth.numpy(), test.observed.numpy()
    said, at = np.zeros_like(truth), np.arange(truth.shape[1])
    for n, c in np.ndindex(truth.shape[0], truth.shape[2]):
        here = np.flatnonzero(known[n, :, c])
        if len(here):
            said[n, :, c] = np.interp(at, here, truth[n, here, c])
    return torch.from_numpy(said)


def error(said: Tensor, test: Sines, rows: Tensor) -> float:
    """Mean absolute error on the missing entries of these rows."""
    return float((said - test.truth)[rows][~test.observed[rows]].abs().mean())


@torch.no_grad()
def diagonal(model: Model, test: Sines) -> float:
    """The greatest weight that a step gives itself in any attention map."""
    tape = Tape("attention")
    model(test.batch(torch.arange(20)), tape=tape)
    return max(float(a.diagonal(dim1=-2, dim2=-1).max()) for a in tape.entries["attention"])
