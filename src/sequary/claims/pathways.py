"""A transformer that learns on random parts of its keys against one that always reads all, same steps; and what pathways say together.

Bits per byte of Shakespeare, read densely. Settings: those of claims/text.py; `steps` of the two stages, whose sum the baseline trains;
`passes` of the ensemble, whose bits are of the mean of their predictions. Exact part: the ensemble takes fewer bits than a single pass.
The floor is the unigram model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.claims.text import bits, learnt, shakespeare, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.mixers.attention.pathways import pathways
from sequary.tasks.language.train import Fitted
from sequary.train.seeds import generator


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing: both arms take the learning rate of the settings."""
    return {}


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    system, dense, (first, last) = load(slug).recipe, load(claim.against or "").recipe, claim.settings["steps"]
    assert system is not None
    assert dense is not None
    batch = claim.settings["train"]["stages__0__train__batch"]
    return {
        "system": system.but(
            stages__0__train__steps=first, stages__1__train__steps=last, stages__1__train__batch=batch
        ),
        "baseline": dense.but(stages__0__train__steps=first + last),
    }


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    fitted = {name: learnt(claim, recipe, seed) for name, recipe in arms(slug, claim).items()}
    found = {name: bits(claim, f) for name, f in fitted.items()}
    passes = claim.settings["passes"]
    single, together = (ensemble_bits(claim, fitted["system"], n, seed) for n in (1, passes))
    broken = "" if together < single else f"{passes} passes together take {together:.4f} bits, one {single:.4f}"
    return Trial(
        seed,
        found["system"],
        found["baseline"],
        unigram(claim),
        broken=broken,
        also={"single_pass": single, "ensemble": together},
    )


@torch.no_grad()
def ensemble_bits(claim: Claim, fitted: Fitted, passes: int, seed: int) -> float:
    """Per byte of whole windows of the start of the test part, from the mean of what `passes` draws predict."""
    context, model = fitted.context, fitted.model.eval()
    test = torch.from_numpy(shakespeare()[1][: claim.settings["judged"]].copy()).long()
    windows = test[: (len(test) - 1) // context * context + 1].unfold(0, context + 1, context)
    rng = generator(CPU, seed, "pathways")
    nats = [surprise(model, rows, passes, rng) for rows in windows.split(16)]
    return float(torch.cat(nats).mean()) / math.log(2)


def surprise(model: Model, windows_BT: Tensor, passes: int, rng: torch.Generator) -> Tensor:
    batch = Batch(values=windows_BT[:, :-1])
    with pathways(model):
        each = [F.log_softmax(model.head(model(batch, rng=rng).hidden), -1) for _ in range(passes)]
    mean = torch.stack(each).logsumexp(0) - math.log(passes)
    return -mean.gather(-1, windows_BT[:, 1:, None])[..., 0].flatten()
