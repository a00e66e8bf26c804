"""A few layers that see all, the rest a window: as much recalled from afar as where all layers see all, for a part of the scores.

The task, its rows and its host with short convolutions are those of claims/recall.py; what is asked for stands further back than layers
of windows reach together. Arms, as deep and as large: the system; `against`, all layers full; the variant `local` names, none. Settings:
those of the task; `window` of the near layers; `share`: the greatest part of the full scores that the system may compute; `train`
(overrides of all three), `grid`. Accuracy; the baseline is the full one, so that the margin says how much less counts as as much. Exact
part: the share is counted, pair by pair, and windows alone recall less than half of what the system does. The floor names one of the
values of the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sequary.blocks.prenorm import PreNorm
from sequary.claims.judging import Trial
from sequary.claims.recall import rows, vocab
from sequary.claims.symbols import Arms, Chosen, tested, tuned
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.local import CausalLocalAttention
from sequary.mixers.conv.short import ShortConv


def arms(slug: str, claim: Claim) -> Arms:
    """ "system", "baseline" and "local"."""
    names = {"system": slug, "baseline": claim.against or "", "local": claim.settings["local"]}
    found = {arm: load(name).recipe for arm, name in names.items()}
    return {arm: hosted(r.but(**claim.settings["train"]), claim.settings["window"]) for arm, r in found.items() if r}


def hosted(recipe: Recipe, window: int) -> Recipe:
    """A short convolution opens each block, and windows are `window` wide."""
    blocks: list[Part[PreNorm]] = []
    for block in recipe.model.get("backbone").get("blocks"):
        attention, *rest = block.get("parts")
        attention = attention.but(window=window) if attention.cls is CausalLocalAttention else attention
        blocks.append(block.but(parts=(part(ShortConv), attention, *rest)))
    return recipe.but(model__backbone__blocks=tuple(blocks))


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(arms(slug, claim), rows(claim, 0), vocab=vocab(claim), grid=claim.settings["grid"])


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    found = tested(arms(slug, claim), rows(claim, seed), chosen, vocab=vocab(claim), seed=seed)
    floor, share = 1 / claim.settings["pairs"], scores_share(arms(slug, claim)["system"], claim.settings["length"])
    broken = ""
    if share > claim.settings["share"]:
        broken = f"it computes {share:.2f} of the full scores; at most {claim.settings['share']} are allowed"
    elif (
        found["system"] > floor and found["local"] >= 0.5 * found["system"]
    ):  # where nothing was learnt, nothing is said
        broken = (
            f"windows alone recall {found['local']:.2f}, the system {found['system']:.2f}: the task needs no far sight"
        )
    also = {"local": found["local"], "share": share}
    return Trial(seed, found["system"], found["baseline"], floor, broken=broken, also=also)


def scores_share(recipe: Recipe, length: int) -> float:
    """Pairs of a query and a key that it sees, over all layers, as a part of those of layers that see all."""
    blocks = recipe.model.get("backbone").get("blocks")
    spans = [block.get("parts")[1].get("window", length) for block in blocks]
    seen = [int(torch.arange(1, length + 1).clamp(max=span).sum()) for span in spans]
    return sum(seen) / (len(spans) * length * (length + 1) / 2)
