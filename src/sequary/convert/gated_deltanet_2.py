"""flash-linear-attention: the layer `GatedDeltaNet2` and the function `naive_recurrent_gdn2`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.part import part
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.identity import Identity
from sequary.mixers.linear.delta import DeltaNet, LowRankGate
from sequary.mixers.linear.delta_gates import EraseWrite
from sequary.ops.delta_rule import delta_rule

INERT = {"mode", "layer_idx"}  # which kernel computes it, and where its cache lies
KNOWN = INERT | {
    *("hidden_size", "expand_v", "head_dim", "num_heads", "num_v_heads", "use_short_conv", "allow_neg_eigval"),
    *("conv_size", "conv_bias", "norm_eps"),
}
KEPT = {
    "A_log": "gates.log_rate",
    "dt_bias": "gates.step",
    "b_proj.weight": "gates.erase.weight",
    "w_proj.weight": "gates.write.weight",
    "o_norm.weight": "norm.weight",
    "o_proj.weight": "o.weight",
    **{f"f_proj.{i}.weight": f"gates.rate.{i}.weight" for i in (0, 1)},
    **{f"g_proj.{n}": f"gate.map.{n}" for n in ("0.weight", "1.weight", "1.bias")},
}

Loaded = DeltaNet | Callable[..., tuple[Tensor, Tensor]]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    if source == "naive_recurrent_gdn2":
        return delta_rule
    if source != "GatedDeltaNet2":
        raise Declined(f"source={source!r}: known are GatedDeltaNet2 and naive_recurrent_gdn2")
    for name in arguments.keys() - KNOWN:
        raise Declined(f"{name}={arguments[name]!r}: the layer of version 0.6 has no such argument")
    return fill(_layer(arguments), _renamed(weights))


def _layer(arguments: Mapping[str, Any]) -> DeltaNet:
    get = arguments.get
    key, heads = get("head_dim", 128), get("num_heads", 16)
    value = int(key * get("expand_v", 1.0))
    conv = part(ShortConv, taps=get("conv_size", 4), bias=get("conv_bias", False))
    return DeltaNet(
        get("hidden_size", 2048),
        heads=get("num_v_heads") or heads,
        key_heads=heads,
        key=key,
        value=value,
        gates=part(EraseWrite, most=2.0 if get("allow_neg_eigval", False) else 1.0),
        conv=conv if get("use_short_conv", True) else part(Identity),
        gate=part(LowRankGate, rank=value),
        eps=get("norm_eps", 1e-5),
    )


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values in one map, their convolutions in one."""
    made = {ours: weights[theirs] for theirs, ours in KEPT.items()}
    made["qkv.weight"] = torch.cat([weights[f"{n}_proj.weight"] for n in "qkv"])
    if "q_conv1d.weight" in weights:
        made["conv.weight"] = torch.cat([weights[f"{n}_conv1d.weight"].flatten(1) for n in "qkv"])
    if "q_conv1d.bias" in weights:
        made["conv.bias"] = torch.cat([weights[f"{n}_conv1d.bias"] for n in "qkv"])
    return made


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, DeltaNet):
        return {"y": loaded(inputs["x"])}
    q, k, v, g, b, w = (inputs[n] for n in "qkvgbw")
    first = inputs["h0"] if "h0" in inputs else q.new_zeros(q.shape[0], q.shape[2], q.shape[3], v.shape[3])
    o, last = loaded(q * arguments.get("scale", 1 / math.sqrt(q.shape[-1])), k, w * v, b * k, g, first)
    return {"o": o, "ht": last}
