"""transformers' `GPT2LMHeadModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.transformers.read import only
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.place import Place
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.tanh_gelu import TanhMLP
from sequary.models.language import LanguageModel
from sequary.tokens.symbols import Embedding

RULES: tuple[Rule, ...] = (
    (r"^transformer\.wte\.", "tokens.table."),
    (r"^transformer\.wpe\.", "tokens.places."),
    (r"^transformer\.h\.(\d+)\.ln_1\.", r"backbone.blocks.\1.norms.0.norm."),
    (r"^transformer\.h\.(\d+)\.ln_2\.", r"backbone.blocks.\1.norms.1.norm."),
    (r"^transformer\.h\.(\d+)\.attn\.c_proj\.", r"backbone.blocks.\1.parts.0.o."),
    (r"^transformer\.h\.(\d+)\.attn\.c_attn\.", r"backbone.blocks.\1.parts.0.qkv."),
    (r"^transformer\.h\.(\d+)\.mlp\.c_fc\.", r"backbone.blocks.\1.parts.1.up."),
    (r"^transformer\.h\.(\d+)\.mlp\.c_proj\.", r"backbone.blocks.\1.parts.1.down."),
    (r"^transformer\.ln_f\.", "backbone.norm.norm."),
    (r"^lm_head\.", "heads.main.out."),
)


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, activation_function="gelu_new", scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False)
    dim, norm = config["n_embd"], part(LayerNorm, eps=config["layer_norm_epsilon"])
    mlp = part(TanhMLP, ratio=(config.get("n_inner") or 4 * dim) / dim)
    block = part(PreNorm, parts=(part(CausalAttention, heads=config["n_head"], base=None, bias=True), mlp), norm=norm)
    model = part(
        LanguageModel,
        tokens=part(Embedding, vocab=config["vocab_size"], positions=config["n_positions"]),
        backbone=part(Stack, depth=config["n_layer"], blocks=(block,), norm=norm),
        head=part(Categorical, vocab=config["vocab_size"]),
    ).build(Place(dim))
    tied = {"lm_head.weight": weights["transformer.wte.weight"]}
    return fill(model, _stood({**tied, **renamed(weights, (), drop=r"\.attn\.(masked_)?bias$")}))


def _stood(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their maps hold [inputs, outputs], and queries, keys and values in one."""
    made: dict[str, Tensor] = {}
    for name, value in renamed(weights, RULES).items():
        value = value.mT if ".parts." in name and name.endswith("weight") else value
        if ".qkv." in name:
            made |= {name.replace(".qkv.", f".qkv.{n}."): v for n, v in zip("qkv", value.chunk(3), strict=True)}
        else:
            made[name] = value
    return made
