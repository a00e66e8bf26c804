"""Labels that no row tells by itself: rows of a table come twice, once with their label, and the other's is asked for.

A table of 2 · `rows` rows, in any order, has `features` symbols in each (of `values`, no two pairs alike) and a label last, drawn anew
for each table from `labels`; in one row of each pair it is hidden. System: the recipe; baseline: the same with attention between rows
replaced by a feed-forward of as many parameters over each row. Metric `accuracy` at hidden labels. Exact parts, in float64: the
permuted table gives the permuted answer (1e-9); with other labels at the copies the system is no better than by chance (1 / labels
+ `CHANCE`). No floor: the baseline itself knows nothing. Settings: these, `tested`, `train` (overrides of the recipe), `grid`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.claims.exact import CPU, distance
from sequary.claims.judging import Trial
from sequary.claims.symbols import Arms, Chosen, Rows, accuracy, trained, tuned
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.values import Batch
from sequary.mixers.mlp.dense import MLP
from sequary.objectives.tokens import NextToken
from sequary.train.seeds import generator

HIDDEN = 0
EXACT = 1e-9
CHANCE = 0.05


def tables(claim: Claim, count: int, seed: int, purpose: str) -> tuple[Rows, Tensor]:
    """Tables as rows of cells, and the same cells with the labels at the copies exchanged for other ones."""
    s = claim.settings
    rows, features, values, labels = s["rows"], s["features"], s["values"], s["labels"]
    if values**features < rows:
        raise ValueError(f"{values} values in {features} features make {values**features} rows, fewer than rows={rows}")
    rng = generator(CPU, seed, "row lookup", purpose)
    kind = torch.rand(count, values**features, generator=rng).argsort(1)[:, :rows]
    cells = torch.stack([kind // values**f % values for f in range(features)], 2) + 1
    label = 1 + values + torch.randint(labels, (count, rows, 1), generator=rng)
    other = 1 + values + torch.randint(labels, (count, rows, 1), generator=rng)
    order = torch.rand(count, 2 * rows, generator=rng).argsort(1)[..., None]

    def table(shown: Tensor, asked: Tensor) -> Tensor:
        whole = torch.cat((torch.cat((cells, shown), 2), torch.cat((cells, asked), 2)), 1)
        return whole.gather(1, order.expand_as(whole)).flatten(1)

    seen = table(label, torch.full_like(label, HIDDEN))
    target = table(label, label)
    wrong = table(other, torch.full_like(label, HIDDEN))
    return Rows(seen.short(), target.short(), seen == HIDDEN), wrong.short()


def arms(slug: str, claim: Claim) -> Arms:
    """ "system", and "baseline": as many parameters, but no row reads another. Both learn from the hidden labels alone."""
    recipe = load(slug).recipe
    assert recipe is not None
    columns = claim.settings["features"] + 1
    system = recipe.but(**claim.settings["train"], stages__0__objective=NextToken()).bind({"columns": columns})
    # 4 maps of attention, 1 of the residual, and 2 · 4 of the feed-forward: 2 · 6.5.
    alone = part(PreNorm, parts=(part(MLP, ratio=6.5),), norm=part(LayerNorm))
    return {"system": system, "baseline": system.but(model__backbone__blocks__0__inner=alone)}


def vocab(claim: Claim) -> int:
    return 1 + claim.settings["values"] + claim.settings["labels"]


def parts(claim: Claim, seed: int) -> tuple[Rows, Rows]:
    """(to learn from, each table once; to choose by)."""
    train = claim.settings["train"]
    count = train["stages__0__train__steps"] * train["stages__0__train__batch"]
    return tables(claim, count, seed, "train")[0], tables(claim, claim.settings["tested"], seed, "choose")[0]


def tune(slug: str, claim: Claim) -> Chosen:
    learnt, choose = parts(claim, 0)
    return tuned(arms(slug, claim), (learnt, choose, choose), vocab=vocab(claim), grid=claim.settings["grid"])


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    learnt, _ = parts(claim, seed)
    test, wrong = tables(claim, claim.settings["tested"], seed, "test")
    made = {
        name: trained(recipe.but(**chosen[name]), learnt, vocab=vocab(claim), seed=seed)
        for name, recipe in arms(slug, claim).items()
    }
    found = {name: accuracy(model, test) for name, model in made.items()}
    misled = accuracy(made["system"], dataclasses.replace(test, values=wrong))
    off = moved(made["system"], test, claim.settings["features"] + 1)
    broken = f"permuted rows change the answer by {off:.1e}" if off > EXACT else ""
    chance = 1 / claim.settings["labels"]
    if not broken and misled > chance + CHANCE:
        broken = f"with other labels at the copies the accuracy is {misled:.2f}, and {chance:.2f} by chance"
    sizes = {f"parameters_{n}": float(sum(p.numel() for p in m.parameters())) for n, m in made.items()}
    return Trial(seed, found["system"], found["baseline"], broken=broken, also={"misled": misled, **sizes})


@torch.no_grad()
def moved(model: Model, rows: Rows, columns: int) -> float:
    """How far the answer for reversed rows is from the reversed answer, in float64."""
    model = model.double().eval()
    ids = rows.batch(torch.arange(8)).values
    turned = ids.unflatten(1, (-1, columns)).flip(1).flatten(1)
    y, other = (model(Batch(values=v)).hidden.unflatten(1, (-1, columns)) for v in (ids, turned))
    return distance(other.flip(1), y)
