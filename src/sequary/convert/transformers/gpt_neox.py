"""transformers' `GPTNeoXForCausalLM` (Pythia): attention and feed-forward side by side, or one after another, each behind its own norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.blocks.norms import LayerNorm
from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.convert.rotary_order import halves, rates
from sequary.convert.transformers import llama
from sequary.convert.transformers.read import only
from sequary.convert.weights import fill
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.mixers.attention.rated import RatedAttention
from sequary.mixers.mlp.dense import MLP


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    """Scales and shifts of the norms go into the maps behind them, so that one norm serves both sides."""
    only(config, hidden_act="gelu")
    rope = {
        "partial_rotary_factor": config.get("rotary_pct", 0.25),
        "rope_theta": config.get("rotary_emb_base", 10_000),
    }
    rope |= config.get("rope_parameters") or {}
    width = llama.head_width(config)
    turned = int(width * rope["partial_rotary_factor"])
    rated = rates(llama.rotary_base({"rope_parameters": rope}), width, turned=turned)
    attention = part(RatedAttention, heads=config["num_attention_heads"], width=width, rates=rated, bias=True)
    both = (attention, part(MLP, hidden=config["intermediate_size"]))
    aside = config.get("use_parallel_residual", True)
    plain = part(LayerNorm, eps=config["layer_norm_eps"], affine=False)
    block = part(PreNorm, parts=(part(Parallel, parts=both),) if aside else both, norm=plain)
    made = {
        "tokens.table.weight": weights["gpt_neox.embed_in.weight"],
        "heads.main.out.weight": weights["lm_head.weight" if "lm_head.weight" in weights else "embed_out.weight"],
    }
    made |= {f"backbone.norm.norm.{k}": weights[f"gpt_neox.final_layer_norm.{k}"] for k in ("weight", "bias")}
    for layer in range(config["num_hidden_layers"]):
        into = f"backbone.blocks.{layer}.parts.{'0.parts.' if aside else ''}"
        for name, linear in layer_maps(weights, f"gpt_neox.layers.{layer}.", width, turned).items():
            made |= {f"{into}{name}.{kind}": w for kind, w in linear.items()}
    return fill(llama.decoder(config, (block,), part(LayerNorm, eps=config["layer_norm_eps"])), made)


def layer_maps(weights: Mapping[str, Tensor], at: str, width: int, turned: int) -> dict[str, dict[str, Tensor]]:
    """By our names under a block's parts: weight and bias of each linear map."""

    def linear(name: str) -> tuple[Tensor, Tensor]:
        weight = weights[f"{at}{name}.weight"]
        return weight, weights.get(f"{at}{name}.bias", torch.zeros_like(weight[:, 0]))

    def behind(norm: str, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
        scale, shift = weights[f"{at}{norm}.weight"], weights[f"{at}{norm}.bias"]
        return {"weight": weight * scale, "bias": bias + weight @ shift}

    joint = behind("input_layernorm", *linear("attention.query_key_value"))
    heads = {kind: w.unflatten(0, (-1, 3, width)) for kind, w in joint.items()}
    found = {f"0.qkv.{x}": {kind: w[:, n].flatten(0, 1) for kind, w in heads.items()} for n, x in enumerate("qkv")}
    for x in "qk":
        found[f"0.qkv.{x}"] = {
            kind: halves(w, width, turned=turned, neighbours=False) for kind, w in found[f"0.qkv.{x}"].items()
        }
    found["1.up"] = behind("post_attention_layernorm", *linear("mlp.dense_h_to_4h"))
    for ours, theirs in (("0.o", "attention.dense"), ("1.down", "mlp.dense_4h_to_h")):
        found[ours] = dict(zip(("weight", "bias"), linear(theirs), strict=True))
    return found
