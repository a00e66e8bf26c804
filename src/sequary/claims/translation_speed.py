"""Template: layers moved from the decoder to the encoder keep the accuracy of a translation and save time when decoding.

Made-up translation: each symbol is replaced by that of a dictionary, then each run of three is put into the order, of six, that its
first symbol asks for. The metric is the share of right symbols when decoding greedily. Broken where the system is not faster than the
baseline, for one row and for `rows` at once, in CPU seconds of the one thread, encoding included, both in turn. The baseline has as
many layers, so 12 % more weights: those of cross-attention.

Settings: `symbols`, `length` (a multiple of 3), `train` (overrides of both), `system`, `baseline` (overrides of each), `grid`
(overrides tried for each arm), `rows`.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.decode.choice import Likeliest
from sequary.decode.stepwise import Stepwise
from sequary.train.loop import fit
from sequary.train.seeds import derive, forked, generator

CPU = torch.device("cpu")
BEGIN = 0
RUN = 3
ORDERS = torch.tensor(list(itertools.permutations(range(RUN))))
TESTED, CHOSEN_BY, ROUNDS = 512, 256, 5


@dataclasses.dataclass(frozen=True, slots=True)
class Pairs:
    """Texts [N, L] and their translations [N, L]; a `Source`."""

    text: Tensor
    translation: Tensor

    def __len__(self) -> int:
        return len(self.text)

    def batch(self, rows: Tensor) -> Batch:
        target = self.translation[rows]
        begun = torch.cat((torch.full_like(target[:, :1], BEGIN), target[:, :-1]), 1)
        return Batch(values=begun, target=target, source=self.text[rows])


def pairs(count: int, claim: Claim, seed: int, purpose: str) -> Pairs:
    """The dictionary is drawn from the seed alone, texts also from what they are for."""
    symbols, length = claim.settings["symbols"], claim.settings["length"]
    dictionary = torch.randperm(symbols, generator=generator(CPU, seed, "dictionary"))
    text = torch.randint(symbols, (count, length), generator=generator(CPU, seed, purpose))
    order = ORDERS[text[:, ::RUN] % len(ORDERS)]
    words = dictionary[text].unflatten(1, (-1, RUN))
    return Pairs(text + 1, words.gather(2, order).flatten(1) + 1)


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    system, baseline = load(slug).recipe, load(claim.against or slug).recipe
    assert system is not None
    assert baseline is not None
    settings = claim.settings
    return {
        "system": system.but(**settings["train"], **settings["system"]),
        "baseline": baseline.but(**settings["train"], **settings["baseline"]),
    }


def trained(recipe: Recipe, claim: Claim, seed: int) -> Model:
    """On texts of which none comes twice."""
    bound = recipe.bind({"vocab": claim.settings["symbols"] + 1})
    stage = bound.stages[0]
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        model = bound.build()
    data = pairs(stage.train.steps * stage.train.batch, claim, seed, "train")
    return fit(model, stage, data, seed=seed, progress=False).model


def decoded(model: Model, data: Pairs) -> Tensor:
    begin = torch.full((len(data), 1), BEGIN)
    greedy = Stepwise(new=data.text.shape[1], choice=Likeliest())
    return greedy(model, Batch(values=begin, source=data.text), generator(CPU, 0, "decode")).raw[:, 1:]


def accuracy(model: Model, data: Pairs) -> float:
    return float((decoded(model, data) == data.translation).double().mean())


def seconds(models: Mapping[str, Model], data: Pairs) -> dict[str, float]:
    """CPU seconds in which each decodes all rows at once: medians."""
    spent: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            began = time.process_time()
            decoded(model, data)
            spent[name].append(time.process_time() - began)
    return {name: statistics.median(found) for name, found in spent.items()}


def tune(slug: str, claim: Claim) -> dict[str, dict[str, Any]]:
    """For each arm the overrides of the grid with the best accuracy on held-out rows, with the first seed."""
    grid: Mapping[str, tuple[Any, ...]] = claim.settings["grid"]
    options = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(options) == 1:
        return dict.fromkeys(arms(slug, claim), options[0])
    held = pairs(CHOSEN_BY, claim, 0, "choose")
    best: dict[str, dict[str, Any]] = {}
    for name, recipe in arms(slug, claim).items():
        scores = [accuracy(trained(recipe.but(**option), claim, 0), held) for option in options]
        best[name] = options[scores.index(max(scores))]
    return best


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    models = {n: trained(r.but(**chosen[n]), claim, seed) for n, r in arms(slug, claim).items()}
    test = pairs(TESTED, claim, seed, "test")
    found = {name: accuracy(model, test) for name, model in models.items()}
    also: dict[str, float] = {}
    slower: list[str] = []
    for rows in (1, claim.settings["rows"]):
        spent = seconds(models, Pairs(test.text[:rows], test.translation[:rows]))
        also |= {f"{name}_ms_rows_{rows}": 1e3 * s for name, s in spent.items()}
        if spent["system"] >= spent["baseline"]:
            slower.append(f"{rows} rows: {spent['system']:.4f} s, the baseline {spent['baseline']:.4f} s")
    floor = 1 / claim.settings["symbols"]
    return Trial(seed, found["system"], found["baseline"], floor, broken="; ".join(slower), also=also)
