"""transformers' `LlamaForCausalLM`, and what the modules of its relatives share."""

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
from sequary.core.contracts import Mixer, Model
from sequary.core.part import Part, part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.local import CausalLocalAttention
from sequary.mixers.attention.sized import SizedAttention
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
    block = part(PreNorm, parts=(attention(config, weights), swiglu(config)), norm=norm)
    return fill(decoder(config, (block,), norm), taken(config, weights))


def attention(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Part[Mixer]:
    """Rotary attention: to all of the past, or to what a sliding window shows of it."""
    heads, dim, base = config["num_attention_heads"], config["hidden_size"], rotary_base(config)
    width, window, bias = head_width(config), config.get("sliding_window"), biased(weights)
    if window is not None:
        if bias:
            raise Declined(
                f"sliding_window={window}: with biases on queries, keys and values only whole attention is built"
            )
        return part(CausalLocalAttention, heads=heads, window=window, width=width, base=base)
    if heads * width != dim:
        return part(SizedAttention, heads=heads, width=width, base=base, bias=bias)
    return part(CausalAttention, heads=heads, base=base, bias=bias)


def swiglu(config: Mapping[str, Any]) -> Part[Mixer]:
    only(config, hidden_act="silu", mlp_bias=False)
    return part(SwiGLU, hidden=config["intermediate_size"])


def decoder(config: Mapping[str, Any], blocks: tuple[Part[Mixer], ...], norm: Part[Norm]) -> Model:
    depth, vocab = config["num_hidden_layers"], config["vocab_size"]
    return language_model(dim=config["hidden_size"], depth=depth, blocks=blocks, norm=norm, vocab=vocab).build()


def rotary_base(config: Mapping[str, Any]) -> float:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise Declined(f"rope_parameters={rope}: only plain rotary positions are built")
    return float(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))


def head_width(config: Mapping[str, Any]) -> int:
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def biased(weights: Mapping[str, Tensor]) -> bool:
    return any(name.endswith("q_proj.bias") for name in weights)


def taken(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], rules: tuple[Rule, ...] = RULES
) -> dict[str, Tensor]:
    """By our names, keys and values of grouped heads repeated for each of their queries' heads.

    Without an output table the input's is it; where queries have biases, so has our output: zeros where theirs has none.
    """
    made = renamed({"lm_head.weight": weights["model.embed_tokens.weight"], **weights}, rules, drop="rotary_emb")
    heads = config["num_attention_heads"]
    groups = config.get("num_key_value_heads") or heads
    for name in [n for n in made if ".qkv.k." in n or ".qkv.v." in n]:
        made[name] = made[name].unflatten(0, (groups, -1)).repeat_interleave(heads // groups, 0).flatten(0, 1)
    for name in [n for n in made if biased(weights) and n.endswith(".o.weight")]:
        made.setdefault(name.replace("weight", "bias"), torch.zeros_like(made[name][:, 0]))
    return made
