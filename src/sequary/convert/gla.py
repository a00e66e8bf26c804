"""flash-linear-attention: the layer `GatedLinearAttention` and the function `naive_recurrent_gla`."""

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
from sequary.mixers.linear import features
from sequary.mixers.linear.gla import GatedLinearAttention
from sequary.ops.linear_attend import linear_attend

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": features.relu,
    "sigmoid": features.sigmoid,
    "logsigmoid": features.log_sigmoid,
    "silu": features.silu,
    "swish": features.silu,
    "sqrelu": features.squared_relu,
    "gelu": features.gelu_tanh,
}
INERT = {"mode", "fuse_norm", "layer_idx"}  # which kernel computes it, and where its cache lies
KNOWN = INERT | {
    *("hidden_size", "expand_k", "expand_v", "num_heads", "num_kv_heads", "feature_map", "use_short_conv", "conv_size"),
    *("conv_bias", "use_output_gate", "gate_fn", "elementwise_affine", "norm_eps", "gate_logit_normalizer"),
    *("gate_low_rank_dim", "clamp_min"),
}

Loaded = GatedLinearAttention | Callable[..., tuple[Tensor, Tensor]]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    if source == "naive_recurrent_gla":
        return linear_attend
    if source != "GatedLinearAttention":
        raise Declined(f"source={source!r}: known are GatedLinearAttention and naive_recurrent_gla")
    for name in arguments.keys() - KNOWN:
        raise Declined(f"{name}={arguments[name]!r}: the layer of version 0.6 has no such argument")
    return fill(_layer(arguments), _renamed(arguments, weights))


def _layer(arguments: Mapping[str, Any]) -> GatedLinearAttention:
    get = arguments.get
    conv = part(ShortConv, taps=get("conv_size", 4), bias=get("conv_bias", False))
    return GatedLinearAttention(
        get("hidden_size", 1024),
        heads=get("num_heads", 4),
        kv_heads=get("num_kv_heads"),
        key_ratio=get("expand_k", 0.5),
        value_ratio=get("expand_v", 1.0),
        gate_rank=get("gate_low_rank_dim", 16),
        gate_norm=get("gate_logit_normalizer", 16),
        floor=get("clamp_min"),
        feature=_function("feature_map", get("feature_map")),
        conv=conv if get("use_short_conv", False) else None,
        gate=_function("gate_fn", get("gate_fn", "swish")) if get("use_output_gate", True) else None,
        eps=get("norm_eps", 1e-5),
    )


def _function(argument: str, name: str | None) -> Callable[[Tensor], Tensor] | None:
    if name is None:
        return None
    if name not in FUNCTIONS:
        raise Declined(f"{argument}={name!r}: not a function of one tensor; known are {', '.join(FUNCTIONS)}")
    return FUNCTIONS[name]


def _renamed(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values in one map, their convolutions in one; a norm without weights gets ones."""
    made = {
        "qkv.weight": torch.cat([weights[f"{n}_proj.weight"] for n in "qkv"]),
        "decay.0.weight": weights["gk_proj.0.weight"],
        "decay.1.weight": weights["gk_proj.1.weight"],
        "decay.1.bias": weights["gk_proj.1.bias"],
        "o.weight": weights["o_proj.weight"],
    }
    if arguments.get("use_output_gate", True):
        made["g.weight"] = weights["g_proj.weight"]
    norms = [weights[n] for n in ("g_norm_swish_gate.weight", "g_norm.weight") if n in weights]
    value = weights["o_proj.weight"].shape[1] // arguments.get("num_heads", 4)
    made["norm.weight"] = norms[0] if norms else torch.ones(value, dtype=weights["o_proj.weight"].dtype)
    for leaf in ("weight", "bias"):
        if f"q_conv1d.{leaf}" in weights:
            made[f"conv.{leaf}"] = torch.cat([weights[f"{n}_conv1d.{leaf}"].flatten(1) if leaf == "weight"
                                              else weights[f"{n}_conv1d.{leaf}"] for n in "qkv"])  # fmt: skip
    return made


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, GatedLinearAttention):
        return {"y": loaded(inputs["x"])}
    q, k, v, gk = (inputs[n] for n in ("q", "k", "v", "gk"))
    first = inputs["h0"] if "h0" in inputs else q.new_zeros(q.shape[0], q.shape[2], q.shape[3], v.shape[3])
    o, last = loaded(q / math.sqrt(q.shape[-1]), k, v, gk, first)
    return {"o": o, "ht": last}
