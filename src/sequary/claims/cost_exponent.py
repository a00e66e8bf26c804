"""Measured: the exponent with which a mixer's time grows with the length, against full attention's in the same run.

Settings: `lengths`, `size` (k), `dim`, `heads`, `repeats`, `near_linear`. Each repeat times one forward pass of every length in turn, so
that whatever else the machine does meets all of them; processor time of one thread, float32, the median over repeats. Metric
`exponent`: the slope of log time over log length by least squares. Exact parts: with E = F = identity Linformer's output is that of full
attention (float64, 1e-12); its exponent is at most `near_linear`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from time import process_time
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.contracts import Mixer
from sequary.core.part import part
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.linformer import LinformerAttention
from sequary.mixers.attention.pools import LearnedPool
from sequary.train.seeds import derive, forked

EXACT = 1e-12


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def linformer(settings: Mapping[str, Any], length: int, size: int) -> LinformerAttention:
    pool = part(LearnedPool, length=length, size=size)
    return LinformerAttention(settings["dim"], length=length, heads=settings["heads"], keys=pool, values=pool)


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s, lengths = claim.settings, claim.settings["lengths"]
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        few: list[Mixer] = [linformer(s, n, s["size"]).eval() for n in lengths]
        full: list[Mixer] = [Attention(s["dim"], heads=s["heads"], bias=False).eval() for _ in lengths]
    inputs = [normal(1, n, s["dim"], seed=seed).float() for n in lengths]
    times = seconds(few + full, inputs + inputs, repeats=s["repeats"])
    system, baseline = (exponent(lengths, t) for t in (times[: len(lengths)], times[len(lengths) :]))
    off = identity_error(s, seed)
    broken = ""
    if off > EXACT:
        broken = f"with E = F = identity the output is {off:.1e} from full attention; {EXACT:.0e} is asked for"
    elif system > s["near_linear"]:
        broken = f"its time grows with the power {system:.2f} of the length; at most {s['near_linear']} is near linear"
    also = {"identity_error": off, "ratio_at_longest": times[-1] / times[len(lengths) - 1]}
    return Trial(seed, system, baseline, broken=broken, also=also)


@torch.no_grad()
def seconds(mixers: list[Mixer], inputs: list[Tensor], *, repeats: int) -> list[float]:
    """Of a forward pass of each: the median over `repeats`, after one that does not count."""
    taken: list[list[float]] = [[] for _ in mixers]
    for repeat in range(repeats + 1):
        for mixer, x_BTD, found in zip(mixers, inputs, taken, strict=True):
            began = process_time()
            mixer(x_BTD)
            if repeat:
                found.append(process_time() - began)
    return [statistics.median(found) for found in taken]


def exponent(lengths: tuple[int, ...], times: list[float]) -> float:
    """Slope of log time over log length, by least squares."""
    return statistics.linear_regression([math.log(n) for n in lengths], [math.log(t) for t in times]).slope


def identity_error(settings: Mapping[str, Any], seed: int) -> float:
    """Between Linformer with E = F = identity and full attention of the same weights."""
    length, dim = settings["lengths"][0], settings["dim"]
    few = drawn(lambda: linformer(settings, length, length), seed)
    full = Attention(dim, heads=settings["heads"]).double()
    state = {f"qkv.{n}.weight": few.inner.get_parameter(f"{n}.weight") for n in "qkv"}
    state |= {f"qkv.{n}.bias": torch.zeros(dim, dtype=torch.float64) for n in "qkv"}
    full.load_state_dict(state | {f"o.{n}": few.inner.o.get_parameter(n) for n in ("weight", "bias")})
    x_BTD = normal(1, length, dim, seed=seed)
    with torch.no_grad():
        for name in ("keys.e", "values.e"):
            few.inner.get_parameter(name).copy_(torch.eye(length))
        return distance(few(x_BTD), full(x_BTD))
