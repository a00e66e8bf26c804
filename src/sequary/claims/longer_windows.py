"""Template: on windows longer than any it learnt from, a language model keeps more of what it knows than the baseline does.

Both learn from windows of `context` bytes of Shakespeare; windows of `longer` bytes of the test part are then read whole. Metric
`bits`: per byte of those windows. What each says on the same bytes in windows of `context` is noted beside ("system_short",
"baseline_short"). Settings: those of claims/text.py, and `longer`. The floor is the unigram model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

from sequary.claims.judging import Trial
from sequary.claims.text import Chosen, learnt, shakespeare, tuned, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.train import TextWindows
from sequary.train.learning import evaluating

ROWS = 16
"""Windows read at a time."""


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    system, baseline = load(slug).recipe, load(claim.against or "").recipe
    assert system is not None
    assert baseline is not None
    return {"system": system, "baseline": baseline}


@torch.no_grad()
def bits(claim: Claim, fitted: Fitted, window: int) -> float:
    """Per byte of windows side by side."""
    windows = TextWindows(shakespeare()[1][: claim.settings["judged"] + 1], context=window, stride=window)
    nats, model = 0.0, fitted.model
    with evaluating(model):
        for rows in torch.arange(len(windows)).split(ROWS):
            batch = windows.batch(rows)
            assert batch.target is not None
            logits = model.head(model(batch).hidden)
            nats += float(F.cross_entropy(logits.flatten(0, 1), batch.target.flatten(), reduction="sum"))
    return nats / math.log(2) / (len(windows) * window)


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(claim, arms(slug, claim))


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    fitted = {name: learnt(claim, recipe, seed, chosen[name]) for name, recipe in arms(slug, claim).items()}
    found = {name: bits(claim, f, claim.settings["longer"]) for name, f in fitted.items()}
    also = {f"{name}_short": bits(claim, f, claim.settings["context"]) for name, f in fitted.items()}
    return Trial(seed, found["system"], found["baseline"], unigram(claim), also=also)
