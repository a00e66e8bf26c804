"""Which place is which, where all tokens are the same: attention whose rows sum to 1 cannot say, whatever biases its scores have.

Settings: `length`, `train` (overrides of both recipes), `grid`, `tolerance`. Every row holds one symbol, each place is asked for its
number. The baseline is the same network without the factor behind the softmax. Accuracy. Exact part, in float64 and with weights of a
random draw: the baseline's hidden values are the same at all places to `tolerance`, the system's are not. No floor: the baseline is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sequary.claims.exact import drawn
from sequary.claims.judging import Trial
from sequary.claims.symbols import Arms, Chosen, Rows, parts, tested, tuned
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.objectives.tokens import NextToken


def same(count: int, length: int) -> Rows:
    values = torch.zeros(count, length, dtype=torch.int16)
    return Rows(values, torch.arange(length, dtype=torch.int16).expand(count, -1), torch.ones_like(values).bool())


def arms(slug: str, claim: Claim) -> Arms:
    """With the loss of `NextToken`, which is that of the target, whatever the target is."""
    recipes = {name: load(of).recipe for name, of in (("system", slug), ("baseline", claim.against or ""))}
    train = claim.settings["train"]
    return {n: r.but(stages__0__objective=NextToken(), **train) for n, r in recipes.items() if r is not None}


def tune(slug: str, claim: Claim) -> Chosen:
    length = claim.settings["length"]
    made = parts(lambda count, _: same(count, length), claim.settings["train"])
    return tuned(arms(slug, claim), made, vocab=length, grid=claim.settings["grid"])


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    length, tolerance = claim.settings["length"], claim.settings["tolerance"]
    made = parts(lambda count, _: same(count, length), claim.settings["train"])
    found = tested(arms(slug, claim), made, chosen, vocab=length, seed=seed)
    apart = {name: spread(recipe, length, seed) for name, recipe in arms(slug, claim).items()}
    broken = ""
    if apart["baseline"] > tolerance:
        broken = f"without the factor places differ by {apart['baseline']:.1e}"
    elif apart["system"] <= tolerance:
        broken = f"with the factor places differ by {apart['system']:.1e} alone"
    return Trial(
        seed, found["system"], found["baseline"], broken=broken, also={f"apart_{n}": v for n, v in apart.items()}
    )


@torch.no_grad()
def spread(recipe: Recipe, length: int, seed: int) -> float:
    """The greatest distance of a place's hidden values from those of the first."""
    model = drawn(recipe.bind({"vocab": length}).build, seed)
    hidden_1TD = model(Batch(values=torch.zeros(1, length, dtype=torch.long))).hidden
    return float((hidden_1TD - hidden_1TD[:, :1]).abs().max())
