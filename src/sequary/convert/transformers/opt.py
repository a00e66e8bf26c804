"""transformers' `OPTForCausalLM`, with norms before the branches."""

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
from sequary.mixers.mlp.dense import MLP
from sequary.models.language import LanguageModel
from sequary.tokens.symbols import Embedding

FIRST = 2
"""Rows of their table of positions that no position reads."""
RULES: tuple[Rule, ...] = (
    (r"^model\.decoder\.embed_tokens\.", "tokens.table."),
    (r"^model\.decoder\.embed_positions\.", "tokens.places."),
    (r"^model\.decoder\.final_layer_norm\.", "backbone.norm.norm."),
    (r"^model\.decoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"backbone.blocks.\1.norms.0.norm."),
    (r"^model\.decoder\.layers\.(\d+)\.final_layer_norm\.", r"backbone.blocks.\1.norms.1.norm."),
    (r"^model\.decoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.", r"backbone.blocks.\1.parts.0.qkv.\2."),
    (r"^model\.decoder\.layers\.(\d+)\.self_attn\.out_proj\.", r"backbone.blocks.\1.parts.0.o."),
    (r"^model\.decoder\.layers\.(\d+)\.fc1\.", r"backbone.blocks.\1.parts.1.up."),
    (r"^model\.decoder\.layers\.(\d+)\.fc2\.", r"backbone.blocks.\1.parts.1.down."),
    (r"^lm_head\.", "heads.main.out."),
)


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    dim = config["hidden_size"]
    only(config, activation_function="relu", do_layer_norm_before=True, _remove_final_layer_norm=False)
    only(config, word_embed_proj_dim=dim, enable_bias=True, layer_norm_elementwise_affine=True)
    attention = part(CausalAttention, heads=config["num_attention_heads"], base=None, bias=True)
    mlp, norm = part(MLP, hidden=config["ffn_dim"], activation="relu"), part(LayerNorm)
    model = part(
        LanguageModel,
        tokens=part(Embedding, vocab=config["vocab_size"], positions=config["max_position_embeddings"]),
        backbone=part(
            Stack,
            depth=config["num_hidden_layers"],
            blocks=(part(PreNorm, parts=(attention, mlp), norm=norm),),
            norm=norm,
        ),
        head=part(Categorical, vocab=config["vocab_size"]),
    ).build(Place(dim))
    made = renamed({"lm_head.weight": weights["model.decoder.embed_tokens.weight"], **weights}, RULES)
    return fill(model, made | {"tokens.places.weight": made["tokens.places.weight"][FIRST:]})
