"""A trained model's feed-forwards exchanged for learners: as many as each token needs, against as many as fit the same mean for all tokens.

Each seed trains the system's recipe on Shakespeare and edits that one model twice, by `Adapted`: `learners` with a mean share `keep` of
them (system), and the first `learners` · `keep` alone, all of them meant for every token (baseline): a narrower feed-forward, distilled
and tuned as long. Metric: bits per byte of held-out text. Exact parts: the share of learners that the system uses on that text is at
most `keep` + 0.05; and, forward, it takes less CPU time than with all learners. Noted: bits before the edit, shares, both times.
Settings: these, `calibration` (rows of training text), `steps` (of the edit's phases) and those of claims/text.py. The floor is the
unigram model.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.edit_order import calibration
from sequary.claims.judging import Trial
from sequary.claims.text import bits, learnt, shakespeare, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.values import Batch
from sequary.edit.adapted import Adapted, choices, share
from sequary.mixers.mlp.adaptive import AdaptiveMLP
from sequary.train.seeds import generator

CPU = torch.device("cpu")
ROUNDS = 9


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Both arms edit the same weights by the same settings: there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s, recipe = claim.settings, load(slug).recipe
    assert recipe is not None
    base = learnt(claim, recipe, seed)
    few = round(s["learners"] * s["keep"])
    own = Adapted(learners=s["learners"], cut=s["learners"], keep=s["keep"], steps=tuple(s["steps"]))
    edits = {"system": own, "baseline": dataclasses.replace(own, learners=few, keep=1.0, near=0.0)}
    found: dict[str, float] = {}
    models: dict[str, Model] = {}
    for name, edit in edits.items():
        seen = calibration(claim, base, seed)
        models[name] = edit(base.model, base.recipe, seen, generator(CPU, seed, "edit")).model.eval()
        found[name] = bits(claim, dataclasses.replace(base, model=models[name]))
    text = torch.from_numpy(shakespeare()[1][: 16 * base.context].astype("int64")).view(16, -1)
    used = {name: spent(model, text) for name, model in models.items()}
    times = timed(models["system"], text)
    broken = ""
    if used["system"] > s["keep"] + 0.05:
        broken = f"it uses {used['system']:.2f} of its learners; asked for is {s['keep']}"
    elif times["gated"] >= times["all"]:
        broken = f"{times['gated']:.1f} ms with its gates, {times['all']:.1f} ms with all learners"
    also = (
        {"before": bits(claim, base)}
        | {f"share_{n}": v for n, v in used.items()}
        | {f"ms_{n}": v for n, v in times.items()}
    )
    return Trial(seed, found["system"], found["baseline"], unigram(claim), broken=broken, also=also)


def modules(model: Model) -> list[AdaptiveMLP]:
    return [m for m in model.modules() if isinstance(m, AdaptiveMLP)]


def spent(model: Model, text_BT: Tensor) -> float:
    return float(share(choices(model, modules(model), [Batch(values=text_BT)])))


@torch.no_grad()
def timed(model: Model, text_BT: Tensor) -> dict[str, float]:
    """Milliseconds of CPU of a forward pass: "gated", and "all" learners for all tokens; both in turn, medians."""
    spent: dict[str, list[float]] = {"gated": [], "all": []}
    for _ in range(ROUNDS):
        for name in spent:
            hooks = [m.gate.scores.register_forward_hook(last) for m in modules(model)] if name == "all" else []
            began = time.process_time()
            model(Batch(values=text_BT))
            spent[name].append(1e3 * (time.process_time() - began))
            for hook in hooks:
                hook.remove()
    return {name: statistics.median(each) for name, each in spent.items()}


def last(_module: object, _args: object, scores: Tensor) -> Tensor:
    """Scores that choose all learners."""
    return torch.arange(scores.shape[-1], dtype=scores.dtype).expand_as(scores)
