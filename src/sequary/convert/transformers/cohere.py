"""transformers' `CohereForCausalLM` (Command R): attention and feed-forward side by side behind one norm, scaled logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.blocks.norms import LayerNorm
from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.convert.rotary_order import halves
from sequary.convert.transformers import llama
from sequary.convert.transformers.read import only
from sequary.convert.weights import Rule, fill
from sequary.core.contracts import Model
from sequary.core.part import part

RULES: tuple[Rule, ...] = (
    (r"\.self_attn\.([qkv])_proj\.", r".parts.0.parts.0.qkv.\1."),
    (r"\.self_attn\.o_proj\.", r".parts.0.parts.0.o."),
    (r"\.mlp\.(gate|up|down)_proj\.", r".parts.0.parts.1.\1."),
    (r"^model\.layers\.(\d+)\.parts\.", r"backbone.blocks.\1.parts."),
    *llama.RULES,
)


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, use_qk_norm=False)
    norm = part(LayerNorm, eps=config["layer_norm_eps"])
    both = part(Parallel, parts=(llama.attention(config, weights), llama.swiglu(config)))
    made, width = llama.taken(config, weights, RULES), llama.head_width(config)
    for name in list(made):
        if ".qkv.q." in name or ".qkv.k." in name:
            made[name] = halves(made[name], width, turned=width, neighbours=True)
        elif name.endswith(".norm.weight"):  # theirs has no bias
            made[name.replace("weight", "bias")] = torch.zeros_like(made[name])
    made["heads.main.out.weight"] = made["heads.main.out.weight"] * config["logit_scale"]
    return fill(llama.decoder(config, (part(PreNorm, parts=(both,), norm=norm),), norm), made)
