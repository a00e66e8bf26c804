"""Exact and measured: attention among selected tokens, packed over images, and its time beside filling up and beside all tokens.

Images of `side` · `side` tokens with one square object each, between `least` and `most` tokens wide; a gate that knows it selects the
object. Settings: these, `images`, `dim`, `heads`, `repeats`. Metric `time_share`: processor time of a forward pass, one thread, float32,
over that of attention among all tokens; the median over repeats, in which the forms take turns. System: packed containers; baseline: a
container for each image, as long as the fullest. Exact parts, float64: packed is what each image gives alone (1e-12), and what the dense
mask gives; packed takes less time than all tokens. Beside: the share of tokens selected.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from time import process_time
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.selected import SelectedAttention
from sequary.ops.forms import form
from sequary.train.seeds import generator

EXACT = 1e-12
CERTAIN = 8.0
"""The size of the gate's logit."""


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def images(settings: Mapping[str, Any], seed: int) -> tuple[Tensor, Tensor]:
    """(x [B, T, D], whose first entry is CERTAIN at the object and −CERTAIN elsewhere; the object [B, T])."""
    count, side = settings["images"], settings["side"]
    rng = generator(CPU, seed, "objects")
    wide = torch.randint(settings["least"], settings["most"] + 1, (count, 1), generator=rng)
    corner = (torch.rand(count, 2, generator=rng) * (side - wide + 1)).long()
    at = torch.arange(side)
    rows, columns = ((at >= corner[:, a, None]) & (at < corner[:, a, None] + wide) for a in range(2))
    inside = (rows[:, :, None] & columns[:, None, :]).flatten(1)
    x = normal(count, side * side, settings["dim"], seed=seed)
    x[..., 0] = torch.where(inside, CERTAIN, -CERTAIN)
    return x, inside


def gated(settings: Mapping[str, Any], seed: int) -> SelectedAttention:
    """Random weights, but the gate reads the first entry alone."""
    mixer = drawn(lambda: SelectedAttention(settings["dim"], heads=settings["heads"]), seed)
    with torch.no_grad():
        mixer.gate.weight.zero_()[:, 0] = 1.0
        mixer.gate.bias.zero_()
    return mixer


@torch.no_grad()
def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    (x, inside), mixer = images(s, seed), gated(s, seed)
    packed = mixer(x)
    alone = torch.cat([mixer(row[None]) for row in x])
    with form("reference"):
        masked = mixer(x)
    off = max(distance(packed, alone), distance(packed, masked))
    broken = f"packed is {off:.1e} off" if off > EXACT else ""
    shares = timed(mixer.float(), x.float(), inside, s, seed)
    if not broken and shares["packed"] >= 1:
        broken = f"packed takes {shares['packed']:.2f} of the time of all tokens"
    also = {"selected": float(inside.float().mean())}
    return Trial(seed, shares["packed"], shares["filled"], broken=broken, also=also)


def timed(
    mixer: SelectedAttention, x: Tensor, inside: Tensor, settings: Mapping[str, Any], seed: int
) -> dict[str, float]:
    """ "packed" and "filled": the time of either over that of attention among all tokens."""
    full = drawn(lambda: Attention(settings["dim"], heads=settings["heads"]), seed).float()
    longest = int(inside.sum(1).max())
    order = (~inside).long().argsort(dim=1, stable=True)[:, :longest, None].expand(-1, -1, x.shape[2])
    filler = Ctx(mask=inside.gather(1, order[..., 0]))

    def filled() -> Tensor:
        y = full(x.gather(1, order), filler)
        return torch.zeros_like(x).scatter(1, order, y)

    ways: dict[str, Callable[[], Tensor]] = {"packed": lambda: mixer(x), "filled": filled, "all": lambda: full(x)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(settings["repeats"]):
        for name, way in ways.items():
            begin = process_time()
            way()
            times[name].append(process_time() - begin)
    middle = {name: statistics.median(t) for name, t in times.items()}
    return {name: middle[name] / middle["all"] for name in ("packed", "filled")}
