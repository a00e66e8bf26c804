"""transformers' `Phi3ForCausalLM`: Llama's blocks, with queries, keys and values in one map, and gates and values in another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.convert.transformers import llama
from sequary.convert.transformers.read import only
from sequary.core.contracts import Model


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only({**config, **(config.get("rope_parameters") or {})}, partial_rotary_factor=1.0)
    heads, width = config["num_attention_heads"], llama.head_width(config)
    groups = config.get("num_key_value_heads") or heads
    made: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if ".qkv_proj." in name:
            parts = weight.split([heads * width, groups * width, groups * width])
            made |= {name.replace("qkv_proj", f"{x}_proj"): w for x, w in zip("qkv", parts, strict=True)}
        elif ".gate_up_proj." in name:
            gate, up = weight.chunk(2)
            made |= {name.replace("gate_up", "gate"): gate, name.replace("gate_up", "up"): up}
        else:
            made[name] = weight
    return llama.load(config, made)
