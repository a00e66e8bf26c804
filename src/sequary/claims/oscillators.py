"""How far the oscillating sums of AGaLiTe are from the outer-product state that they stand in for; a numerical experiment.

Settings: `tokens`, `dim`, `heads`, `expand`, `few` and `many` oscillators. With random weights and inputs the value that is read,
C_t φ(q_t) over its normaliser, is compared with four times the approximate one, C from a plain loop in float64. Metric `error`: root
mean squared distance over the root mean square of the exact value. System: `many` oscillators; baseline: `few`. Exact parts: by single
steps the layer gives what it gives at once (1e-9), and its state is as large after the last token as before the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.mixers.linear.agalite import AGaLiTe

EXACT = 1e-9


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


@torch.no_grad()
def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    x_BTD = normal(2, s["tokens"], s["dim"], seed=seed)
    many, few = (layer(s, count, seed) for count in (s["many"], s["few"]))
    exact = outer_product(many, x_BTD)
    errors = [
        float((read(m, x_BTD) - exact).square().mean().sqrt() / exact.square().mean().sqrt()) for m in (many, few)
    ]
    state, steps = many.init_state(2), list[Tensor]()
    before = state.bytes()
    for t in range(s["tokens"]):
        y_BtD, state = many.step(x_BTD[:, t : t + 1], state)
        steps.append(y_BtD)
    off = distance(torch.cat(steps, 1), many(x_BTD))
    broken = f"single steps are {off:.1e} off" if off > EXACT else ""
    broken = broken or ("" if state.bytes() == before else f"the state grows from {before} to {state.bytes()} bytes")
    return Trial(seed, errors[0], errors[1], broken=broken, also={"bytes": float(before)})


def layer(settings: Mapping[str, Any], oscillators: int, seed: int) -> AGaLiTe:
    """The same weights for any number of oscillators."""
    sizes = {"heads": settings["heads"], "expand": settings["expand"]}
    return drawn(lambda: AGaLiTe(settings["dim"], **sizes, oscillators=oscillators, eps=0.0), seed)


def read(mixer: AGaLiTe, x_BTD: Tensor) -> Tensor:
    """[B, T, H, K]: what is read before the output's map; four times it, since Σ_j cos² is half of r, and it divides by 2 r."""
    found: list[Tensor] = []
    hook = mixer.o.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    mixer(x_BTD)
    hook.remove()
    return 4 * found[0].view(*x_BTD.shape[:2], mixer.heads, -1).nan_to_num()  # 0 / 0 where no feature is on


def outer_product(mixer: AGaLiTe, x_BTD: Tensor) -> Tensor:
    """[B, T, H, K] of the state C_t = ((1 − β)(1 − γ)ᵀ) ⊙ C_{t-1} + (β ⊙ v)(γ ⊙ φ(k))ᵀ and its normaliser, by a loop."""
    gates, found = mixer.gates(x_BTD), list[Tensor]()
    c = s = torch.zeros((), dtype=torch.float64)
    for t in range(x_BTD.shape[1]):
        key, value = gates.write_key[:, t] * gates.key[:, t], gates.write_value[:, t] * gates.value[:, t]
        keep_key, keep_value = gates.keep_key[:, t].exp(), gates.keep_value[:, t].exp()
        c = keep_value[..., None] * keep_key[..., None, :] * c + value[..., None] * key[..., None, :]
        s = keep_key * s + key
        query = gates.query[:, t]
        found.append((c @ query[..., None])[..., 0] / (s * query).sum(-1, keepdim=True))
    return torch.stack(found, 1).nan_to_num()
