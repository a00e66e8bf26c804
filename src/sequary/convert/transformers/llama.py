"""transformers' `LlamaForCausalLM`; with biases on queries, keys and values also Qwen 2's (`qwen2`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.blocks.norms import Norm, RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.convert.declined import Declined
from sequary.convert.transformers.read import only
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.contracts import Model
from sequary.core.part import Part, part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

RULES: tuple[Rule, ...] = (
    (r"^model\.embed_tokens\.", "tokens.table."),
    (r"^model\.layers\.(\d+)\.input_layernorm\.", r"backbone.blocks.\1.norms.0.norm."),
    (r"^model\.layers\.(\d+)\.post_attention_layernorm\.", r"backbone.blocks.\1.norms.1.norm."),
    (r"^model\.layers\.(\d+)\.self_attn\.([qkv])_proj\.", r"backbone.blocks.\1.parts.0.qkv.\2."),
    (r"^model\.layers\.(\d+)\.self_attn\.o_proj\.", r"backbone.blocks.\1.parts.0.o."),
    (r"^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj\.", r"backbone.blocks.\1.parts.1.\2."),
    (r"^model\.norm\.", "backbone.norm.norm."),
    (r"^lm_head\.", "heads.main.out."),
)


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    return built(config, weights, part(RMSNorm, eps=config["rms_norm_eps"]))


def built(config: Mapping[str, Any], weights: Mapping[str, Tensor], norm: Part[Norm]) -> Model:
    """Llama's blocks behind `norm`."""
    only(config, hidden_act="silu", mlp_bias=False, sliding_window=None)
    heads, dim = config["num_attention_heads"], config["hidden_size"]
    only(config, head_dim=dim // heads)
    bias = any(k.endswith("q_proj.bias") for k in weights)
    attention = part(CausalAttention, heads=heads, base=_base(config), bias=bias)
    block = part(PreNorm, parts=(attention, part(SwiGLU, hidden=config["intermediate_size"])), norm=norm)
    depth = config["num_hidden_layers"]
    recipe = language_model(dim=dim, depth=depth, blocks=(block,), norm=norm, vocab=config["vocab_size"])
    made = renamed({"lm_head.weight": weights["model.embed_tokens.weight"], **weights}, RULES, drop="rotary_emb")
    return fill(recipe.build(), _filled(made, config, bias))


def _base(config: Mapping[str, Any]) -> float:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise Declined(f"rope_parameters={rope}: only plain rotary positions are built")
    return float(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))


def _filled(weights: dict[str, Tensor], config: Mapping[str, Any], bias: bool) -> dict[str, Tensor]:
    """Keys and values of grouped heads repeated for each of their queries' heads; where queries have biases, so has the output."""
    heads = config["num_attention_heads"]
    share = heads // config.get("num_key_value_heads", heads)
    for name in [n for n in weights if ".qkv.k." in n or ".qkv.v." in n]:
        weights[name] = weights[name].unflatten(0, (heads // share, -1)).repeat_interleave(share, 0).flatten(0, 1)
    for name in [n for n in weights if bias and n.endswith("parts.0.o.weight")]:
        weights.setdefault(name.replace("weight", "bias"), torch.zeros_like(weights[name][:, 0]))
    return weights
