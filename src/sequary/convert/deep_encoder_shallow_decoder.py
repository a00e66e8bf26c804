"""huggingface/transformers: `MarianMTModel`, encoder and decoder of independent depths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.postnorm import PostNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, Tied, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.categorical import Categorical
from sequary.heads.shared_symbols import SharedSymbols
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.cross import CrossAttention
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.swish import SwishMLP
from sequary.models.encdec import EncoderDecoder
from sequary.tokens.scaled_symbols import ScaledSymbols, SinePlaces, StoredPlaces
from sequary.tokens.symbols import Embedding

E, D = r"^model\.encoder\.", r"^model\.decoder\."
RULES = (
    (E + r"embed_positions\.weight", "source.places.table"),
    (E + r"embed_tokens\.weight", "source.words.table.weight"),
    (D + r"embed_positions\.weight", "target.places.table"),
    (D + r"embed_tokens\.weight", "target.words.table.weight"),
    (r"^model\.(en|de)coder\.layers\.(\d+)\.", r"\1coder.blocks.\2."),
    (r"self_attn_layer_norm", "norms.0.norm"),
    (r"encoder_attn_layer_norm", "norms.1.norm"),
    (r"^(encoder\..*)final_layer_norm", r"\1norms.1.norm"),
    (r"^(decoder\..*)final_layer_norm", r"\1norms.2.norm"),
    (r"self_attn\.out_proj", "parts.0.o"),
    (r"self_attn\.([qkv])_proj", r"parts.0.qkv.\1"),
    (r"encoder_attn\.out_proj", "parts.1.o"),
    (r"encoder_attn\.([qkv])_proj", r"parts.1.qkv.\1"),
    (r"^(encoder\..*)fc1", r"\1parts.1.up"),
    (r"^(encoder\..*)fc2", r"\1parts.1.down"),
    (r"^(decoder\..*)fc1", r"\1parts.2.up"),
    (r"^(decoder\..*)fc2", r"\1parts.2.down"),
)
SHARED = "model.shared.weight"
SOURCE, TARGET = "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"
OUT, BIAS = "lm_head.weight", "final_logits_bias"


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> EncoderDecoder:
    """`arguments`: d_model, encoder_layers, decoder_layers, heads, ffn, activation, scale_embedding; or as MarianConfig names them.

    What a checkpoint leaves out is made up for: copies of a tied table, and sinusoids.
    """
    a, dim = arguments, arguments["d_model"]
    given = dict(weights)
    for key, other in ((SOURCE, SHARED), (TARGET, SHARED), (OUT, TARGET)):
        if key not in given:
            given[key] = given[other]
    own = "words" if torch.equal(given[SOURCE], given[TARGET]) else "source words"
    words = Tied("words", part(Embedding, vocab=len(given[TARGET])))
    shared = torch.equal(given[OUT], given[TARGET])
    coders = {side: _coder(a, side) for side in ("encoder", "decoder")}
    model = part(
        EncoderDecoder,
        source=_symbols(a, given, "encoder", Tied(own, part(Embedding, vocab=len(given[SOURCE])))),
        target=_symbols(a, given, "decoder", words),
        encoder=coders["encoder"],
        decoder=coders["decoder"],
        head=part(SharedSymbols, words=words, bias=True)
        if shared
        else part(Categorical, vocab=len(given[OUT]), bias=True),
    ).build(Place(dim))
    table, bias = ("words.table.weight", "bias") if shared else ("out.weight", "out.bias")
    ours = renamed({k: v for k, v in given.items() if k not in (SHARED, OUT, BIAS)}, RULES)
    return fill(model, {**ours, f"heads.main.{table}": given[OUT], f"heads.main.{bias}": given[BIAS].squeeze(0)})


def _said(arguments: Mapping[str, Any], theirs: str, short: str) -> Any:
    return arguments[theirs] if theirs in arguments else arguments[short]


def _symbols(
    a: Mapping[str, Any], weights: Mapping[str, Tensor], side: str, words: Part[Embedding]
) -> Part[ScaledSymbols]:
    table = weights.get(f"model.{side}.embed_positions.weight")
    places = part(SinePlaces) if table is None else part(StoredPlaces, length=len(table))
    return part(ScaledSymbols, words=words, places=places, scale=None if a.get("scale_embedding", False) else 1.0)


def _coder(a: Mapping[str, Any], side: str) -> Part[Stack]:
    heads, hidden = _said(a, f"{side}_attention_heads", "heads"), _said(a, f"{side}_ffn_dim", "ffn")
    mlp = _mlp(_said(a, "activation_function", "activation"), hidden)
    mixers: tuple[Part[Mixer], ...] = (part(Attention, heads=heads), mlp)
    if side == "decoder":
        itself = part(CausalAttention, heads=heads, base=None, bias=True)
        mixers = (itself, part(CrossAttention, heads=heads), mlp)
    return part(Stack, depth=a[f"{side}_layers"], blocks=(part(PostNorm, parts=mixers),))


def _mlp(activation: str, hidden: int) -> Part[Mixer]:
    if activation in ("silu", "swish"):
        return part(SwishMLP, hidden=hidden)
    if activation == "relu":
        return part(MLP, hidden=hidden, activation="relu")
    if activation == "gelu":
        return part(MLP, hidden=hidden, activation="gelu")
    raise Declined(f"activation={activation}: only relu, gelu, silu and swish are taken over")


def replay(loaded: EncoderDecoder, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    source, target, real = inputs["src"], inputs["tgt"], inputs.get("src_mask")
    rows, length = target.shape
    # The source counts positions over padding too.
    positions = torch.arange(source.shape[1]).expand_as(source)
    memory = loaded.encode(source, Ctx(mask=None if real is None else real.bool(), positions=positions))
    logits = loaded.head(loaded(Batch(values=target, memory=memory)).hidden)
    ids = torch.full((rows, 1), _said(arguments, "decoder_start_token_id", "start"))
    state, each = loaded.init_state(Batch(values=ids, memory=memory)), list[Tensor]()
    for _ in range(length):
        output, state = loaded.step(ids[:, -1:], state)
        each.append(loaded.head(output.hidden))
        ids = torch.cat((ids, each[-1].argmax(-1)), 1)
    return {"encoder": memory.tokens, "logits": logits, "greedy": ids, "greedy_logits": torch.cat(each, 1)}
