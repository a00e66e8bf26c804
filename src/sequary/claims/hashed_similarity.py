"""Do learnt hash functions tell similar keys from others better than random hyperplanes with as many bits? No network is trained.

Settings: `tokens`, `width`, `centres`, `noise`, `bits`, `anchors`, `similar`, `temperature`. Queries and keys are centres of unit length,
each drawn from `centres` of them, plus normal noise. The hash functions are fitted on one row and tested on another with the same centres.
Metric `correlation`: between the weights of the codes and exp(q̂·k̂ / temperature), over all pairs of the test row. Baseline: the
signs of `bits` random projections. Noted beside: the hash functions before they are fitted, with as many random anchors. Exact part: with
codes as features, sums of keys and values in integers give the weighted sums to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.claims.exact import CPU, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.mixers.linear.hashed import Hashed
from sequary.ops.forms import form
from sequary.ops.kernel_attend import kernel_sums
from sequary.train.seeds import derive, forked


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is chosen: the hash functions are fitted as training fits them."""
    return {}


def tokens(settings: Mapping[str, Any], seed: int, purpose: str) -> Tensor:
    """[2, 1, T, 1, K]: queries and keys of one row."""
    centres = F.normalize(normal(settings["centres"], settings["width"], seed=seed, purpose="centres"), dim=-1)
    with forked(CPU):
        torch.manual_seed(derive(seed, purpose))
        which = torch.randint(settings["centres"], (2, 1, settings["tokens"], 1))
    noise = normal(2, 1, settings["tokens"], 1, settings["width"], seed=seed, purpose=f"{purpose} noise")
    return centres[which] + settings["noise"] * noise


@torch.no_grad()
def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    fit, (q, k) = tokens(s, seed, "fit"), tokens(s, seed, "test")
    cosine = torch.einsum("btk,bsk->bts", F.normalize(q[:, :, 0], dim=-1), F.normalize(k[:, :, 0], dim=-1))
    wanted = (cosine / s["temperature"]).exp()
    with forked(CPU):
        torch.manual_seed(derive(seed, "hash"))
        hashed = Hashed(s["width"], bits=s["bits"], anchors=s["anchors"], similar=s["similar"]).double()
        planes = torch.randn(s["width"], s["bits"], dtype=torch.float64)
        unfitted = correlation(hashed.queries(q), hashed.keys(k), wanted)
        hashed.watch(fit[0], fit[1], None)
    system = correlation(hashed.queries(q), hashed.keys(k), wanted)
    baseline = correlation((q @ planes).sign(), (k @ planes).sign(), wanted)
    codes = hashed.queries(q)[..., : s["bits"]], hashed.keys(k)[..., : s["bits"]]
    v = (10 * normal(1, s["tokens"], 1, 4, seed=seed, purpose="values")).round()
    with form("reference"):
        written = kernel_sums(*codes, v)
    broken = "" if torch.equal(kernel_sums(*codes, v), written) else "sums of integers differ between the two forms"
    return Trial(seed, system, baseline, broken=broken, also={"unfitted": unfitted})


def correlation(q_BTHN: Tensor, k_BSHN: Tensor, wanted_BTS: Tensor) -> float:
    found = torch.einsum("bthn,bshn->bts", q_BTHN, k_BSHN)
    return float(torch.corrcoef(torch.stack((found.flatten(), wanted_BTS.flatten())))[0, 1])
