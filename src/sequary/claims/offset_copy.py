"""Template: at each place a row of random symbols asks for the one that stood `offset` places earlier; only positions tell which.

Settings: `offset`, `length`, `symbols`; `train` (overrides of both recipes), `grid`. The floor guesses. Accuracy over all places that have
such a predecessor, on rows not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.claims.symbols import Arms, Chosen, Rows, parts, tested, tuned
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.train.seeds import generator


def drawn(count: int, seed: int, purpose: str, *, offset: int, length: int, symbols: int) -> Rows:
    values = torch.randint(symbols, (count, length), generator=generator(CPU, seed, "offset", purpose))
    asked = (torch.arange(length) >= offset).expand(count, -1)
    return Rows(values.short(), values.roll(offset, 1).short(), asked)


def arms(slug: str, claim: Claim) -> Arms:
    found = {name: load(of).recipe for name, of in (("system", slug), ("baseline", claim.against or ""))}
    return {name: recipe.but(**claim.settings["train"]) for name, recipe in found.items() if recipe is not None}


def rows(claim: Claim, seed: int) -> tuple[Rows, Rows, Rows]:
    task = {n: claim.settings[n] for n in ("offset", "length", "symbols")}
    return parts(lambda count, purpose: drawn(count, seed, purpose, **task), claim.settings["train"])


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(arms(slug, claim), rows(claim, 0), vocab=claim.settings["symbols"], grid=claim.settings["grid"])


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    found = tested(arms(slug, claim), rows(claim, seed), chosen, vocab=claim.settings["symbols"], seed=seed)
    return Trial(seed, found["system"], found["baseline"], 1 / claim.settings["symbols"])
