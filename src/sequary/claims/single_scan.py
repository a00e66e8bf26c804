"""Exact: one pass reads all tokens, whatever their order; a recurrence whose memory decays reads those before, and needs a second pass.

Settings: `tokens`, `dim`, `heads`. System: the attention over all tokens; baseline: the mixer of the recipe that `against` names, once
over the sequence. Metric `tokens_read`: the share of pairs (t, s) in which the output at t has a gradient by the input at s. Exact
parts: the system's share is 1; permuting its tokens permutes its outputs; its causal form by single steps equals that at once, and
equals the system at the last token (float64, 1e-9).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import distance, drawn, normal, reads
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.place import Place
from sequary.mixers.linear.lightnet import CausalLightNet, LightNetAttention

EXACT = 1e-9


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def rival(slug: str, settings: Mapping[str, Any]) -> Mixer:
    """The first mixer of a recipe's first block, at the width of the settings."""
    recipe = load(slug).recipe
    assert recipe is not None
    made = recipe.model.get("backbone").get("blocks")[0].get("parts")[0].build(Place(settings["dim"]))
    assert isinstance(made, Mixer)
    return made


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    full = drawn(lambda: LightNetAttention(s["dim"], heads=s["heads"]), seed)
    causal = CausalLightNet(s["dim"], heads=s["heads"]).double().eval()
    causal.load_state_dict(full.state_dict())
    once = drawn(lambda: rival(claim.against or "", s), seed)
    x_BTD = normal(1, s["tokens"], s["dim"], seed=seed)
    system, baseline = (float((reads(m, x_BTD, seed=seed) > 0).double().mean()) for m in (full, once))
    with torch.no_grad():
        order = normal(s["tokens"], seed=seed, purpose="order").argsort()
        errors = {
            "a permutation of the input": distance(full(x_BTD[:, order]), full(x_BTD)[:, order]),
            "single steps": distance(stepped(causal, x_BTD), causal(x_BTD)),
            "the last token of the causal form": distance(causal(x_BTD)[:, -1], full(x_BTD)[:, -1]),
        }
    wrong = [f"{name} is {error:.1e} off" for name, error in errors.items() if error > EXACT]
    if system < 1:
        wrong.append(f"only {system:.3g} of the pairs have a gradient")
    return Trial(seed, system, baseline, broken="; ".join(wrong), also={"error": max(errors.values())})


def stepped(mixer: Recurrent, x_BTD: Tensor) -> Tensor:
    state, found = mixer.init_state(len(x_BTD)), list[Tensor]()
    for t in range(x_BTD.shape[1]):
        y_BtD, state = mixer.step(x_BTD[:, t : t + 1], state)
        found.append(y_BtD)
    return torch.cat(found, 1)
