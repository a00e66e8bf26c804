"""Exact: summaries of regions give every earlier token a weight above zero; the same pattern without them reads its own block alone.

Settings: `length`, `dim`, `heads`, `block`. Metric `share`: of
all pairs of a token and an earlier one, those whose weight in the matrix that the mixer implies is above zero, least over heads; the
matrix is what the mixer makes of unit vectors as values. Exact parts: its rows sum to 1, nothing later has a weight, and the matrix times
the values is the mixer's output (float64, 1e-12). Beside: `pairs`, the most tokens and summaries that one query is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.mixers.attention.combiner import FixedCombiner, Past, own_block

EXACT = 1e-12


class OwnBlock(FixedCombiner):
    """The pattern without its summaries."""

    def mix(self, past: Past, new: int | None) -> Tensor:
        q, k, v = self.split(past)
        return own_block(q, k, v, past.blocks(self.block)[0], past, self.block, new)[0]


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


@torch.no_grad()
def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    x_BTD = normal(1, s["length"], s["dim"], seed=seed)
    found: list[float] = []
    broken = ""
    for kind in (FixedCombiner, OwnBlock):
        mixer = drawn(lambda kind=kind: kind(s["dim"], heads=s["heads"], block=s["block"]), seed)
        matrix_HTT, off = implied(mixer, x_BTD)
        earlier = torch.ones_like(matrix_HTT[0], dtype=torch.bool).tril(-1)
        found.append(float((matrix_HTT[:, earlier] > 0).double().mean(1).min()))
        wrong = max(off, float((matrix_HTT.sum(-1) - 1).abs().max()), float(matrix_HTT.triu(1).abs().max()))
        if wrong > EXACT:
            broken = f"{kind.__name__}: the implied matrix is {wrong:.1e} from a causal one with rows of sum 1 that gives the output"
    return Trial(seed, found[0], found[1], broken=broken, also={"pairs": s["block"] + (s["length"] - 1) // s["block"]})


def implied(mixer: FixedCombiner, x_BTD: Tensor) -> tuple[Tensor, float]:
    """([H, T, T], how far the matrix times the values is from what the mixer reads)."""
    q, k, v = mixer.keep(x_BTD)
    real = torch.ones(x_BTD.shape[:2], dtype=torch.bool)
    units = torch.eye(x_BTD.shape[1], dtype=x_BTD.dtype).repeat(1, mixer.heads)[None]
    matrix, output = (mixer.mix(Past((q, k, values), real, real.long()), None) for values in (units, v))
    _, _, values = mixer.split(Past((q, k, v), real, real.long()))
    return matrix[0], distance(matrix @ values, output)
