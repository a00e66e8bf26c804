"""aft-pytorch 0.2.2: `AFTFull`, `AFTLocal`, `AFTSimple`; idiap/fast-transformers: `AFTSimpleAttention`. Both are third-party."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.part import part
from sequary.mixers.attention.free import FreeAttention
from sequary.mixers.attention.pairs import TabledPairs
from sequary.ops.free_attend import free_attend

RULES = ((r"^to_(q|k|v)\.", r"\1."), (r"^project\.", "o."), (r"^wbias$", "pairs.table"))
Function = Callable[[Mapping[str, Tensor]], Tensor]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> FreeAttention | Function:
    """`arguments`: dim, max_seqlen, hidden_dim, s (the window of AFTLocal). `AFTSimpleAttention` is a function of its inputs."""
    if source == "AFTSimpleAttention":
        return _simple
    if source == "AFTFullAttention":
        raise Declined(f"source={source!r} of fast-transformers multiplies keys by the bias where the paper adds it")
    if source not in ("AFTFull", "AFTLocal", "AFTSimple"):
        raise Declined(f"source={source!r}: known are AFTFull, AFTLocal, AFTSimple and AFTSimpleAttention")
    window = arguments.get("s", 256) if source == "AFTLocal" else None
    pairs = None if source == "AFTSimple" else part(TabledPairs, length=arguments["max_seqlen"], window=window)
    mixer = FreeAttention(arguments["dim"], pairs=pairs, hidden=arguments.get("hidden_dim", 64))
    return fill(mixer, renamed(weights, RULES))


def replay(
    loaded: FreeAttention | Function, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    return {"y": loaded(inputs["x"]) if isinstance(loaded, FreeAttention) else loaded(inputs)}


def _simple(inputs: Mapping[str, Tensor]) -> Tensor:
    """[N, L, H, E]: every feature of every head is a channel."""
    q, k, v = (inputs[n] for n in ("queries", "keys", "values"))
    real = None
    if "key_lengths" in inputs:
        real = torch.arange(k.shape[1]) < inputs["key_lengths"][:, None]
    return q.sigmoid() * free_attend(k.flatten(2), v.flatten(2), None, real_BS=real).unflatten(-1, v.shape[2:])
