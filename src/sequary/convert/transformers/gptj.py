"""transformers' `GPTJForCausalLM`: attention and feed-forward side by side behind one norm, positions in a part of each head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.convert.rotary_order import halves, rates
from sequary.convert.transformers.read import only
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.contracts import Mixer, Model
from sequary.core.part import Part, part
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
    model = side_by_side(dim, config["n_layer"], config["vocab_size"], (attention, mlp), norm)
    made = renamed(weights, RULES, drop=KEPT)
    ordered = [name for name in made if ".qkv.q." in name or ".qkv.k." in name]
    return fill(model, made | {n: halves(made[n], width, turned=turned, neighbours=True) for n in ordered})


def side_by_side(dim: int, depth: int, vocab: int, parts: tuple[Part[Mixer], ...], norm: Part[Norm]) -> Model:
    """`parts` behind one `norm` in each block, and logits with a bias."""
    block = part(PreNorm, parts=(part(Parallel, parts=parts),), norm=norm)
    return part(
        LanguageModel,
        tokens=part(Embedding, vocab=vocab),
        backbone=part(Stack, depth=depth, blocks=(block,), norm=norm),
        head=part(Categorical, vocab=vocab, bias=True),
    ).build(Place(dim))
