"""transformers' `GPTJForCausalLM`: attention and feed-forward side by side behind one norm, positions in a part of each head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.convert.rotary_order import halves, rates
from sequary.convert.transformers.read import only
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.place import Place
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.rated import RatedAttention
from sequary.mixers.mlp.tanh_gelu import TanhMLP
from sequary.models.language import LanguageModel
from sequary.tokens.symbols import Embedding

RULES: tuple[Rule, ...] = (
    (r"^transformer\.wte\.", "tokens.table."),
    (r"^transformer\.h\.(\d+)\.ln_1\.", r"backbone.blocks.\1.norms.0.norm."),
    (r"^transformer\.h\.(\d+)\.attn\.([qkv])_proj\.", r"backbone.blocks.\1.parts.0.parts.0.qkv.\2."),
    (r"^transformer\.h\.(\d+)\.attn\.out_proj\.", r"backbone.blocks.\1.parts.0.parts.0.o."),
    (r"^transformer\.h\.(\d+)\.mlp\.fc_in\.", r"backbone.blocks.\1.parts.0.parts.1.up."),
    (r"^transformer\.h\.(\d+)\.mlp\.fc_out\.", r"backbone.blocks.\1.parts.0.parts.1.down."),
    (r"^transformer\.ln_f\.", "backbone.norm.norm."),
    (r"^lm_head\.", "heads.main.out."),
)
KEPT = r"\.attn\.(masked_)?bias$|embed_positions"
"""Tables that old checkpoints carry along."""


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, activation_function="gelu_new")
    dim, heads = config["n_embd"], config["n_head"]
    width = dim // heads
    turned = config.get("rotary_dim") or width
    norm = part(LayerNorm, eps=config["layer_norm_epsilon"])
    attention = part(RatedAttention, heads=heads, width=width, rates=rates(10_000.0, width, turned=turned))
    mlp = part(TanhMLP, ratio=(config.get("n_inner") or 4 * dim) / dim)
    block = part(PreNorm, parts=(part(Parallel, parts=(attention, mlp)),), norm=norm)
    model = part(
        LanguageModel,
        tokens=part(Embedding, vocab=config["vocab_size"]),
        backbone=part(Stack, depth=config["n_layer"], blocks=(block,), norm=norm),
        head=part(Categorical, vocab=config["vocab_size"], bias=True),
    ).build(Place(dim))
    made = renamed(weights, RULES, drop=KEPT)
    ordered = [name for name in made if ".qkv.q." in name or ".qkv.k." in name]
    return fill(model, made | {n: halves(made[n], width, turned=turned, neighbours=True) for n in ordered})
