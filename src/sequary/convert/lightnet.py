"""flash-linear-attention: the layer `LightNetAttention` and the function `fused_recurrent_lightnet`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.part import part
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.linear.lightnet import CausalLightNet
from sequary.ops.linear_attend import linear_attend
from sequary.ops.running_softmax import EMPTY, normalised

LAYER, FUNCTIONS = "LightNetAttention", ("fused_recurrent_lightnet", "chunk_lightnet")
INERT = {
    "mode",
    "norm_eps",
    "layer_idx",
}  # which kernel computes it, an epsilon that never reaches the norm, where its cache lies
KNOWN = INERT | {
    *("hidden_size", "num_heads", "expand_ratio", "use_short_conv", "conv_size", "conv_bias"),
    *("gate_low_rank_dim", "elementwise_affine"),
}

Loaded = CausalLightNet | str


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    if source in FUNCTIONS:
        return source
    if source != LAYER:
        raise Declined(f"source={source!r}: known are {LAYER}, {', '.join(FUNCTIONS)}")
    for name in arguments.keys() - KNOWN:
        raise Declined(f"{name}={arguments[name]!r}: the layer of version 0.6 has no such argument")
    get = arguments.get
    dim, heads, key = get("hidden_size", 1024), get("num_heads"), get("expand_ratio", 128)
    heads = dim // key if heads is None else heads
    conv = part(ShortConv, taps=get("conv_size", 4), bias=get("conv_bias", False))
    made = CausalLightNet(
        dim,
        heads=heads,
        key=key,
        gate_rank=get("gate_low_rank_dim", 128),
        conv=conv if get("use_short_conv", False) else None,
    )
    return fill(made, _renamed(dim, weights))


def _renamed(dim: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values in one map, their convolutions in one; a norm without weights gets ones."""
    made = {
        "qkv.weight": torch.cat([weights[f"{n}_proj.weight"] for n in "qkv"]),
        "gate.0.weight": weights["g_proj.0.weight"],
        "gate.1.weight": weights["g_proj.1.weight"],
        "o.weight": weights["o_proj.weight"],
        "norm.weight": weights.get("g_norm.weight", torch.ones(dim, dtype=weights["o_proj.weight"].dtype)),
    }
    if "q_conv1d.weight" in weights:
        made["conv.weight"] = torch.cat([weights[f"{n}_conv1d.weight"].flatten(1) for n in "qkv"])
    if "q_conv1d.bias" in weights:
        made["conv.bias"] = torch.cat([weights[f"{n}_conv1d.bias"] for n in "qkv"])
    return made


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, CausalLightNet):
        return {"y": loaded(inputs["x"])}
    q, k, v = inputs["q"], inputs["k"], inputs["v"]
    scale = arguments.get("scale")
    z = inputs["z0"][:, 0] if "z0" in inputs else k.new_full(k[:, 0].shape, EMPTY)
    first = inputs["h0"] if "h0" in inputs else k.new_zeros(*k.shape[::2], k.shape[3], v.shape[3])
    write, g, z = normalised(k, z, None, None)
    if "z0" not in inputs:  # the source keeps a first state whose normaliser nobody gave
        g = torch.cat((torch.zeros_like(g[:, :1]), g[:, 1:]), 1)
    o, last = linear_attend(q * (1 / math.sqrt(q.shape[-1]) if scale is None else scale), write, v, g, first)
    return {"o": o, "ht": last, "zt": z[:, None]}
