"""IBM/multi-variate-parallel-transformer: `MVPFormerGQAAttention` of `layers/mvpa.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.ctx import Ctx
from sequary.mixers.attention.variates import VariateAttention

WINDOW = 10
"""Of the source, which has it as a number in its code."""
NOWHERE = -1
"""A window in which no lag is."""


class Sourced(VariateAttention):
    """The last step's content scores against all steps before it, so that outputs depend on the length."""

    def near(self, steps: int, device: torch.device) -> Tensor:
        near = super().near(steps, device)
        if self.window != NOWHERE:
            near[-1] = True
        return near


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> VariateAttention:
    if source != "MVPFormerGQAAttention":
        raise Declined(f"source={source!r}: known is MVPFormerGQAAttention")
    module = Sourced(
        arguments["hidden_size"],
        heads=arguments["num_attention_heads"],
        kv_heads=arguments["n_head_kv"],
        window=WINDOW if arguments.get("global_att", True) else NOWHERE,
        lags=1,
        distances=1,
    )
    module.scale = _scale(arguments, module.width)
    keys, values = _linear(arguments, weights, "c_attn").chunk(2)
    ours = {
        "q.weight": _linear(arguments, weights, "q_attn"),
        "k.weight": keys,
        "v.weight": values,
        "lag.weight": weights["position_net.weight"],
        "distance.weight": weights["channel_net.weight"],
        "biases": weights["attn_bias"].view(3, -1),
        "o.weight": weights["c_proj.weight"],
    }
    # The source is given the vectors of lags and distances with its inputs.
    none = {name: torch.zeros_like(weights["c_proj.weight"][:1]) for name in ("lags", "distances")}
    return fill(module, ours | none)


def _scale(arguments: Mapping[str, Any], width: int) -> float:
    scale = 1 / math.sqrt(width) if arguments.get("scale_attn_weights", True) else 1.0
    if not arguments.get("scale_attn_by_inverse_layer_idx", False):
        return scale
    layer = arguments.get("layer_idx")
    if layer is None:
        raise Declined("scale_attn_by_inverse_layer_idx=True without layer_idx: the source adds 1 to nothing and fails")
    return scale / (layer + 1)


def _linear(arguments: Mapping[str, Any], weights: Mapping[str, Tensor], name: str) -> Tensor:
    """With its low-rank addition where there is one that the source has not yet added (`lora_merge` adds it in eval mode)."""
    weight = weights[f"{name}.weight"]
    if not arguments.get("lora", False) or arguments.get("lora_merge", True) or not arguments.get("lora_rank", 8):
        return weight
    added = weights[f"{name}.lora_B"] @ weights[f"{name}.lora_A"]
    added = added * arguments.get("lora_alpha", 16) / arguments.get("lora_rank", 8)
    # Of keys and values, the values alone have an addition.
    return weight + torch.cat((torch.zeros_like(weight[: len(weight) - len(added)]), added))


def replay(loaded: VariateAttention, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x_BTCD = inputs["hidden_states"]
    steps, channels = x_BTCD.shape[1:3]
    # Vector n of the source is that of the n-th greatest lag or distance.
    lags, distances = inputs["positional_embedding"].flip(1), inputs["channel_embedding"].flip(1)
    near = loaded.near(steps, x_BTCD.device)
    y = loaded.mix(x_BTCD.flatten(1, 2), Ctx(grid=(steps, channels)), lags, distances, near)
    return {"y": y.view_as(x_BTCD)}
