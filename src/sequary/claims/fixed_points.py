"""Exact: attention stops at a fixed point, the sooner the simpler its input, and its gradient is that of the limit.

The system's mixer with fresh weights, its queries scaled by each of `sharpness`, reads `rows` rows of `tokens` tokens. All in float64.
Metric `log10_gradient_error`: log10 of max|a − b| / max(1, max|b|) of the gradients of input and weights against those through every round
of an iteration carried to 1e-13. System: the mixer's own, at its `eps`; baseline: through its last round alone. Exact parts: Z moves by no
more than `eps` of its size in one more round; sharper queries, whose map contracts less, take more rounds; the system's error is at most
`tolerance`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, distance, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx, Tape
from sequary.mixers.attention.fixed_point import FixedPointAttention
from sequary.mixers.attention.projection import split
from sequary.ops.fixed_point_attend import once
from sequary.ops.forms import form
from sequary.train.seeds import derive, forked

LIMIT = 1e-13


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    errors: dict[str, list[float]] = {"system": [], "baseline": []}
    rounds: list[float] = []
    still = 0.0
    for sharp in s["sharpness"]:
        mixer = fresh(s, seed)
        with torch.no_grad():
            mixer.q.weight *= sharp
        x = normal(s["rows"], s["tokens"], s["dim"], seed=seed)
        tape = Tape("rounds")
        mixer(x, Ctx(tape=tape))
        rounds.append(float(tape.entries["rounds"][0].double().mean()))
        still = max(still, moved(mixer, x))
        truth = gradients(mixer, x, eps=LIMIT, most=1000, reference=True)
        errors["system"].append(distance(gradients(mixer, x, eps=s["eps"], most=s["most"]), truth))
        errors["baseline"].append(distance(gradients(mixer, x, eps=s["eps"], most=s["most"], last=True), truth))
    worst = {name: max(each) for name, each in errors.items()}
    broken = ""
    if still > s["eps"]:
        broken = f"one more round moves Z by {still:.1e} of its size; eps is {s['eps']:.0e}"
    elif sorted(rounds) != rounds or rounds[0] == rounds[-1]:
        broken = f"rounds {rounds} do not rise with sharpness {s['sharpness']}"
    elif worst["system"] > s["tolerance"]:
        broken = f"gradients are off by {worst['system']:.1e}; {s['tolerance']:.0e} is asked for"
    also = {"rounds_least": rounds[0], "rounds_most": rounds[-1], "moved": still}
    return Trial(seed, *(math.log10(worst[name]) for name in ("system", "baseline")), broken=broken, also=also)


def fresh(settings: Mapping[str, Any], seed: int) -> FixedPointAttention:
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        sizes = {name: settings[name] for name in ("heads", "eps", "most")}
        return FixedPointAttention(settings["dim"], **sizes).double().eval()


def limit(mixer: FixedPointAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    """(Z [B, T, D], V by head)."""
    found: list[Tensor] = []
    hook = mixer.o.register_forward_pre_hook(lambda _, args: found.append(args[0]))
    mixer(x)
    hook.remove()
    return found[0], split(mixer.v(x), mixer.heads)


def another(mixer: FixedPointAttention, x: Tensor, z: Tensor, v: Tensor) -> Tensor:
    sees = torch.ones(*z.shape[:2], z.shape[1], dtype=torch.bool)
    return once(z, x, mixer.q.weight, mixer.k.weight, v, sees)


@torch.no_grad()
def moved(mixer: FixedPointAttention, x: Tensor) -> float:
    z, v = limit(mixer, x)
    new = another(mixer, x, z, v)
    return float(((new - z).norm(dim=-1) / new.norm(dim=-1)).max())


def gradients(
    mixer: FixedPointAttention, x: Tensor, *, eps: float, most: int, reference: bool = False, last: bool = False
) -> Tensor:
    """Of a random sum of the output, by input and weights, in one row. `last`: Z as it is, and one round more."""
    mixer.eps, own = eps, mixer.eps
    mixer.most, cap = most, mixer.most
    x = x.detach().requires_grad_()
    with form("reference" if reference else ""):
        if last:
            z, v = limit(mixer, x)
            y = mixer.o(another(mixer, x, z.detach(), v))
        else:
            y = mixer(x)
    mixer.eps, mixer.most = own, cap
    total = (y * normal(*y.shape, seed=0, purpose="sum")).sum()
    found = torch.autograd.grad(total, (x, *mixer.parameters()))
    return torch.cat([g.flatten() for g in found])
