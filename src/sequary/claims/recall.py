"""Template: of two language models with states of one size, the system recalls more of what it was told once.

Multi-query associative recall (Arora et al., Zoology, arXiv 2312.04927, section 3): a row opens with `pairs` pairs of a key and a value,
then each key comes once more, at a random place among fillers, and its value is asked for. Keys are drawn without repetition
from `keys` symbols, values from `values` others, anew for each row and seed. Accuracy over the asked places. Where a claim says so,
fillers are of several kinds, to be told from what is worth keeping, or values stand before their keys, beside which layers with
shared queries and keys look: they find the same symbol.

Both arms stand in the same host: a short convolution on a branch of its own opens each block. Without it neither finds out within
these steps which value follows which key, and the experiment could not tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sequary.claims.judging import Trial
from sequary.claims.symbols import Arms, Chosen, Rows, parts, tested, tuned
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.mixers.conv.short import ShortConv
from sequary.train.seeds import generator

FILLER = 0
TASK = ("pairs", "length", "keys", "values", "fillers", "value_first")
"""Settings of a claim that `told` takes."""


def told(
    count: int,
    seed: int,
    purpose: str,
    *,
    pairs: int,
    length: int,
    keys: int,
    values: int,
    fillers: int = 1,
    value_first: bool = False,
) -> Rows:
    """`count` rows of `length` symbols: 0 a filler, then the keys, the values, and the other fillers."""
    if length < 3 * pairs:
        raise ValueError(
            f"length={length} has no room for {pairs} pairs and as many questions; use {3 * pairs} or more"
        )
    rng = generator(torch.device("cpu"), seed, "recall", purpose)
    key = 1 + torch.rand(count, keys, generator=rng).argsort(1)[:, :pairs]
    value = 1 + keys + torch.randint(values, (count, pairs), generator=rng)
    place = 2 * pairs + torch.rand(count, length - 2 * pairs, generator=rng).argsort(1)[:, :pairs]
    symbols = torch.full((count, length), FILLER, dtype=torch.int16)
    if fillers > 1:
        kind = torch.randint(fillers, (count, length), generator=rng).short()
        symbols = torch.where(kind == 0, FILLER, keys + values + kind)
    symbols[:, : 2 * pairs] = torch.stack((value, key) if value_first else (key, value), 2).flatten(1)
    symbols.scatter_(1, place, key.short())
    target = torch.zeros_like(symbols).scatter_(1, place, value.short())
    return Rows(symbols, target, target > 0)


def arms(slug: str, claim: Claim) -> Arms:
    """ "system" and "baseline", both with the overrides of `train`; the baseline also with those of `baseline`, which level the sizes."""
    system, baseline = load(slug).recipe, load(claim.against or "").recipe
    assert system is not None
    assert baseline is not None
    train = claim.settings["train"]
    return {
        "system": hosted(system.but(**train)),
        "baseline": hosted(baseline.but(**{**train, **claim.settings["baseline"]})),
    }


def hosted(recipe: Recipe) -> Recipe:
    (block,) = recipe.model.get("backbone").get("blocks")
    return recipe.but(model__backbone__blocks=(block.but(parts=(part(ShortConv), *block.get("parts"))),))


def rows(claim: Claim, seed: int) -> tuple[Rows, Rows, Rows]:
    task = {n: claim.settings[n] for n in TASK if n in claim.settings}
    return parts(lambda count, purpose: told(count, seed, purpose, **task), claim.settings["train"])


def vocab(claim: Claim) -> int:
    return claim.settings.get("fillers", 1) + claim.settings["keys"] + claim.settings["values"]


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(arms(slug, claim), rows(claim, 0), vocab=vocab(claim), grid=claim.settings["grid"])


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    """The floor knows which values the row holds, and names one of them."""
    found = tested(arms(slug, claim), rows(claim, seed), chosen, vocab=vocab(claim), seed=seed)
    return Trial(seed, found["system"], found["baseline"], 1 / claim.settings["pairs"])
