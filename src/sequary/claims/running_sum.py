"""Template: state tracking: of two language models the system better says the sum, modulo m, of the symbols so far.

Rows of `length` symbols drawn from 0 … m − 1, m = `modulus`; at each place the sum so far modulo m is asked for (m = 2: parity), which a
layer that reads all tokens side by side has to count. Accuracy over the places but the first `easy`. Beside: the same
models on rows twice as long ("twice", "baseline_twice"). Settings: these, `train`, `baseline` (overrides of the recipes) and `grid`.
The floor names one of the symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sequary.claims.judging import Trial
from sequary.claims.symbols import Arms, Chosen, Rows, accuracy, parts, trained, tuned
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.train.seeds import generator


def summed(count: int, seed: int, purpose: str, *, length: int, modulus: int, easy: int) -> Rows:
    rng = generator(torch.device("cpu"), seed, "running sum", purpose)
    symbols = torch.randint(modulus, (count, length), generator=rng, dtype=torch.int16)
    target = (symbols.long().cumsum(1) % modulus).short()
    return Rows(symbols, target, (torch.arange(length) >= easy).expand(count, -1))


def arms(slug: str, claim: Claim) -> Arms:
    """ "system" and "baseline", both with the overrides of `train`; the baseline also with those of `baseline`, which level the sizes."""
    system, baseline = load(slug).recipe, load(claim.against or "").recipe
    assert system is not None
    assert baseline is not None
    train = claim.settings["train"]
    return {"system": system.but(**train), "baseline": baseline.but(**train, **claim.settings.get("baseline", {}))}


def rows(claim: Claim, seed: int, times: int = 1) -> tuple[Rows, Rows, Rows]:
    task = {n: claim.settings[n] for n in ("length", "modulus", "easy")}
    task["length"] *= times

    def make(count: int, purpose: str) -> Rows:
        """What is learnt from asks at every place: the easy ones lead to the others."""
        return summed(count, seed, purpose, **(task | {"easy": 0} if purpose == "train" else task))

    return parts(make, claim.settings["train"])


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(arms(slug, claim), rows(claim, 0), vocab=claim.settings["modulus"], grid=claim.settings["grid"])


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    data, longer, modulus = rows(claim, seed), rows(claim, seed, times=2)[2], claim.settings["modulus"]
    found: dict[str, float] = {}
    for name, recipe in arms(slug, claim).items():
        model = trained(recipe.but(**chosen[name]), data[0], vocab=modulus, seed=seed)
        found |= {name: accuracy(model, data[2]), f"{name}_twice": accuracy(model, longer)}
    also = {"twice": found["system_twice"], "baseline_twice": found["baseline_twice"]}
    return Trial(seed, found["system"], found["baseline"], 1 / modulus, also=also)
