"""Blockwise decoding: greedy output symbol for symbol, in fewer model calls, on Shakespeare after a short training.

Settings: `train` (overrides of both recipes), `context`, `judged`; `prompts` of `context` bytes each out of the test part, and `new`
symbols after each, one row at a time. System: the recipe, all its heads trained together as it says; baseline: a plain GPT of the same
body and training, one symbol a call. Metric `calls_per_symbol`, the call that reads the prompt included. Exact part, in float64, where no
two logits tie: what the system writes blockwise is what it writes greedily, one symbol a call. Noted: the bits per byte of both main
heads, since heads that learn together cost the first one something at equal steps; and how far the greedy text goes round in circles,
where proposals are easy: the share of its runs of `RUN` symbols that stood before in the same continuation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.judging import Trial
from sequary.claims.text import bits, learnt, shakespeare
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Decoder, Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.decode.blockwise import Blockwise
from sequary.decode.choice import Likeliest
from sequary.decode.stepwise import Stepwise
from sequary.tasks.language.train import TextWindows

RUN = 8


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing: one learning rate for both, on which the baseline's calls do not depend."""
    return {}


def arms(slug: str, claim: Claim) -> tuple[Recipe, Recipe]:
    """Same stage, and the same body by the settings; the heads that look further ahead are the difference."""
    system, plain = (load(name).recipe for name in (slug, claim.against or ""))
    assert system is not None
    assert plain is not None
    return system, plain.but(stages=system.stages)


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    system, plain = (learnt(claim, recipe, seed) for recipe in arms(slug, claim))
    also = {"bits": bits(claim, system), "baseline_bits": bits(claim, plain)}
    blockwise, greedy = Blockwise(new=s["new"]), Stepwise(new=s["new"], choice=Likeliest())
    fast, calls = continued(system.model, blockwise, prompts(claim))
    slow, _ = continued(system.model, greedy, prompts(claim))
    _, plain_calls = continued(plain.model, greedy, prompts(claim))
    also["repeated"] = repeated(slow[:, s["context"] :])
    symbols, broken = s["prompts"] * s["new"], ""
    if not torch.equal(fast, slow):
        row, place = (fast != slow).nonzero()[0].tolist()
        broken = f"prompt {row}: symbol {place - s['context']} is not what greedy decoding gives"
    return Trial(seed, calls / symbols, plain_calls / symbols, broken=broken, also=also)


def prompts(claim: Claim) -> Tensor:
    """[prompts, context] bytes, evenly spread over the test part."""
    _, test = shakespeare()
    count, context = claim.settings["prompts"], claim.settings["context"]
    windows = TextWindows(test, context=context, stride=(len(test) - context - 1) // count)
    return windows.batch(torch.arange(count)).values


def continued(model: Model, decoder: Decoder, prompts_NT: Tensor) -> tuple[Tensor, int]:
    """Each prompt and what follows it, decoded by itself in float64; and the model calls of all."""
    model.double()
    found = [decoder(model, Batch(values=row[None]), torch.Generator()) for row in prompts_NT]
    return torch.cat([sample.raw for sample in found]), sum(sample.calls for sample in found)


def repeated(text_NT: Tensor) -> float:
    """The share of runs of `RUN` symbols that the same row holds earlier."""
    runs = [[tuple(run) for run in row.unfold(0, RUN, 1).tolist()] for row in text_NT]
    return 1 - sum(len(set(row)) for row in runs) / sum(len(row) for row in runs)
