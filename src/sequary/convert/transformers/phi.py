"""transformers' `PhiForCausalLM` (Phi-1, Phi-2): attention and feed-forward side by side behind one norm, biases everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.blocks.norms import LayerNorm
from sequary.convert.rotary_order import halves, rates
from sequary.convert.transformers import llama, stablelm
from sequary.convert.transformers.gptj import side_by_side
from sequary.convert.transformers.read import only
from sequary.convert.weights import Rule, fill
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.mixers.attention.rated import RatedAttention
from sequary.mixers.mlp.tanh_gelu import TanhMLP

RULES: tuple[Rule, ...] = (
    (r"\.self_attn\.([qkv])_proj\.", r".parts.0.parts.0.qkv.\1."),
    (r"\.self_attn\.dense\.", r".parts.0.parts.0.o."),
    (r"\.mlp\.fc1\.", r".parts.0.parts.1.up."),
    (r"\.mlp\.fc2\.", r".parts.0.parts.1.down."),
    (r"^model\.layers\.(\d+)\.input_layernorm\.", r"backbone.blocks.\1.norms.0.norm."),
    (r"^model\.layers\.(\d+)\.parts\.", r"backbone.blocks.\1.parts."),
    (r"^model\.final_layernorm\.", "backbone.norm.norm."),
    (r"^model\.embed_tokens\.", "tokens.table."),
    (r"^lm_head\.", "heads.main.out."),
)


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, hidden_act="gelu_new", qk_layernorm=False)
    heads, dim, width = config["num_attention_heads"], config["hidden_size"], llama.head_width(config)
    turned = stablelm.turned(config, 0.5)
    rated = rates(llama.rotary_base(config), width, turned=turned)
    parts = (
        part(RatedAttention, heads=heads, width=width, rates=rated, bias=True),
        part(TanhMLP, ratio=config["intermediate_size"] / dim),
    )
    norm = part(LayerNorm, eps=config["layer_norm_eps"])
    made = llama.taken(config, weights, RULES)
    ordered = [name for name in made if ".qkv.q." in name or ".qkv.k." in name]
    made |= {name: halves(made[name], width, turned=turned, neighbours=False) for name in ordered}
    return fill(side_by_side(dim, config["num_hidden_layers"], config["vocab_size"], parts, norm), made)
