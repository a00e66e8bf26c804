"""transformers' `StableLmForCausalLM`: Llama's blocks behind layer norms, with positions in a part of each head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.rotary_order import halves, rates
from sequary.convert.transformers import llama
from sequary.convert.transformers.read import only
from sequary.convert.weights import fill
from sequary.core.contracts import Mixer, Model
from sequary.core.part import Part, part
from sequary.mixers.attention.rated import RatedAttention


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, qk_layernorm=False, use_parallel_residual=False)
    norm = part(LayerNorm, eps=config["layer_norm_eps"])
    block = part(PreNorm, parts=(attention(config, weights, 0.25), llama.swiglu(config)), norm=norm)
    return fill(llama.decoder(config, (block,), norm), taken(config, weights, 0.25))


def turned(config: Mapping[str, Any], usual: float) -> int:
    """Features of a head that positions turn; a configuration that does not say how many has the class's `usual` share."""
    told = {**config, **(config.get("rope_parameters") or {})}
    return int(llama.head_width(config) * told.get("partial_rotary_factor", usual))


def attention(config: Mapping[str, Any], weights: Mapping[str, Tensor], usual: float) -> Part[Mixer]:
    heads, width = config["num_attention_heads"], llama.head_width(config)
    turning = rates(llama.rotary_base(config), width, turned=turned(config, usual))
    return part(RatedAttention, heads=heads, width=width, rates=turning, bias=llama.biased(weights))


def taken(config: Mapping[str, Any], weights: Mapping[str, Tensor], usual: float) -> dict[str, Tensor]:
    made, width, moving = llama.taken(config, weights), llama.head_width(config), turned(config, usual)
    ordered = [name for name in made if ".qkv.q." in name or ".qkv.k." in name]
    return made | {name: halves(made[name], width, turned=moving, neighbours=False) for name in ordered}
