"""How many pairs of key and value a memory holds that is written once through, step by step, and how each of ATLAS's parts adds to that.

Nothing is trained but the memory: `pairs` random unit keys of `key` entries and values of ±1, `value` of them, are given one after another
to the rule of ops/omega.py (no decay, no momentum but where the optimiser has it), then each key is asked for, and the value nearest
to the answer counts as said. System: a window of `window` tokens, keys of degree 2 and orthogonalised steps; each of `one` (a window of
1), `linear` (degree 1: the memory is that much smaller) and `plain` (gradient steps) lacks one of these, `none` all three. The baseline is
the best of the three that lack one, so that the claim holds only where each part adds. Step sizes and momenta of `grid` are chosen for
each arm by other pairs. Metric `recall`, the mean over the loads of `loads`, of `rows` memories each; the floor names one of the values.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.mixers.linear.atlas import Powers
from sequary.ops.omega import omega
from sequary.train.seeds import generator

ARMS: Mapping[str, Mapping[str, int]] = {
    "system": {},
    "one": {"window": 1},
    "linear": {"degree": 1},
    "plain": {"rounds": 0},
    "none": {"window": 1, "degree": 1, "rounds": 0},
}


@torch.no_grad()
def recall(
    settings: Mapping[str, Any], arm: Mapping[str, int], pairs: int, step: tuple[float, float], seed: int
) -> float:
    s = {**settings, "rounds": 5, "degree": 2, **arm}
    rng = generator(CPU, seed, "pairs", str(pairs))
    k = F.normalize(torch.randn(s["rows"], pairs, s["key"], generator=rng), dim=-1)
    v = torch.randint(2, (s["rows"], pairs, s["value"]), generator=rng).float() * 2 - 1
    phi = Powers(s["key"], degree=s["degree"])(k * s["key"] ** 0.5)
    memory = written(phi, v, s["window"], s["rounds"], step)
    said = phi @ memory
    return float(((said @ v.mT).argmax(-1) == torch.arange(pairs)).float().mean())


def written(phi: Tensor, v: Tensor, window: int, rounds: int, step: tuple[float, float]) -> Tensor:
    """[R, F, V] after all pairs."""
    rows, pairs, features = phi.shape
    near_k, near_v = (F.pad(x, (0, 0, window - 1, 0)).unfold(1, window, 1).mT for x in (phi, v))
    gamma = F.pad(torch.ones(1, pairs, 1), (0, 0, window - 1, 0)).unfold(1, window, 1)[:, :, 0] / window
    rates = torch.tensor([1.0, *step])[:, None, None, None].expand(3, rows, pairs, 1)
    empty = torch.zeros(rows, 1, features, v.shape[-1])
    shaped = (phi[:, :, None], near_k[:, :, None], near_v[:, :, None], gamma[:, :, None].expand(rows, -1, 1, -1))
    return omega(*shaped, rates, torch.ones(rows, pairs), empty, empty, rounds)[1][:, 0]


def mean_recall(settings: Mapping[str, Any], arm: str, step: tuple[float, float], seed: int) -> float:
    return statistics.mean(recall(settings, ARMS[arm], n, step, seed) for n in settings["loads"])


def tune(slug: str, claim: Claim) -> dict[str, tuple[float, float]]:
    """(η, θ) of each arm, by pairs that no trial has."""
    s = claim.settings
    options = list(itertools.product(s["grid"]["eta"], s["grid"]["theta"]))
    return {arm: max(options, key=lambda o, a=arm: mean_recall(s, a, o, 10_000)) for arm in ARMS}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, tuple[float, float]]) -> Trial:
    s = claim.settings
    found = {arm: mean_recall(s, arm, (chosen[arm][0], chosen[arm][1]), seed) for arm in ARMS}
    system = found.pop("system")
    floor = statistics.mean(1 / n for n in s["loads"])
    most = {f"recall_{n}": recall(s, {}, n, (chosen["system"][0], chosen["system"][1]), seed) for n in s["loads"]}
    best = max(found[arm] for arm in ("one", "linear", "plain"))
    return Trial(seed, system, best, floor, also={**found, **most})
