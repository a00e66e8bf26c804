"""Template: of two language models with states of one size, the system better recalls the last value that a key was given.

As claims/recall.py, but of the `pairs` keys that open a row half are told a second time, with another value, before anything is asked:
what was stored first has to be taken back. Accuracy over all asked places. Floor: naming one of the values that the row holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sequary.claims.judging import Trial
from sequary.claims.recall import FILLER, arms, vocab
from sequary.claims.symbols import Chosen, Rows, parts, tested, tuned
from sequary.core.card import Claim
from sequary.train.seeds import generator


def told(count: int, seed: int, purpose: str, *, pairs: int, length: int, keys: int, values: int) -> Rows:
    """`count` rows of `length` symbols: 0 the filler, then the keys, then the values."""
    twice = pairs // 2
    opening = 2 * (pairs + twice)
    if length < opening + pairs:
        raise ValueError(
            f"length={length} has no room for {pairs} pairs, half of them twice; use {opening + pairs} or more"
        )
    rng = generator(torch.device("cpu"), seed, "overwritten", purpose)
    key = 1 + torch.rand(count, keys, generator=rng).argsort(1)[:, :pairs]
    value = 1 + keys + torch.randint(values, (count, pairs + twice), generator=rng)
    last = torch.cat((value[:, pairs:], value[:, twice:pairs]), 1)
    place = opening + torch.rand(count, length - opening, generator=rng).argsort(1)[:, :pairs]
    symbols = torch.full((count, length), FILLER, dtype=torch.int16)
    symbols[:, :opening] = torch.stack((torch.cat((key, key[:, :twice]), 1), value), 2).flatten(1).short()
    symbols.scatter_(1, place, key.short())
    target = torch.zeros_like(symbols).scatter_(1, place, last.short())
    return Rows(symbols, target, target > 0)


def rows(claim: Claim, seed: int) -> tuple[Rows, Rows, Rows]:
    task = {n: claim.settings[n] for n in ("pairs", "length", "keys", "values")}
    return parts(lambda count, purpose: told(count, seed, purpose, **task), claim.settings["train"])


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(arms(slug, claim), rows(claim, 0), vocab=vocab(claim), grid=claim.settings["grid"])


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    found = tested(arms(slug, claim), rows(claim, seed), chosen, vocab=vocab(claim), seed=seed)
    return Trial(seed, found["system"], found["baseline"], 1 / claim.settings["pairs"])
