"""lsj2408/URPE (a fork of fairseq): `TransformerSentenceEncoderLayer` and `TransformerSentenceEncoder`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.postnorm import PostNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import Part, Tied, part
from sequary.core.place import Place
from sequary.mixers.attention.offsets import EachOffset, LogOffsets, Offsets
from sequary.mixers.attention.universal import UniversalAttention
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import Activation, ReLU, SquaredReLU

RULES = (
    (r"self_attn\.([qkv])_proj\.", r"parts.0.qkv.\1."),
    (r"self_attn\.out_proj\.", "parts.0.o."),
    (r"self_attn_layer_norm\.", "norms.0.norm."),
    (r"final_layer_norm\.", "norms.1.norm."),
    (r"\bfc1\.", "parts.1.up."),
    (r"\bfc2\.", "parts.1.down."),
    (r"^layers\.", "stack.blocks."),
    (r"^embed_tokens\.", "words."),
    (r"^embed_positions\.", "places."),
    (r"^segment_embeddings\.", "kinds."),
    (r"^emb_layer_norm\.", "norm."),
    (r"^rp_bias\.weight", "bias.table"),
    (r"^ur_rp_bias\.weight", "factor.table"),
)


class SingleGELU(Activation):
    """fairseq takes it in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x.float()).type_as(x)


class TanhGELU(Activation):
    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x, approximate="tanh")


class Tanh(Activation):
    def forward(self, x: Tensor) -> Tensor:
        return x.tanh()


class Linear(Activation):
    def forward(self, x: Tensor) -> Tensor:
        return x


ACTIVATIONS: Mapping[str, type[Activation]] = {
    "relu": ReLU,
    "relu_squared": SquaredReLU,
    "gelu": SingleGELU,
    "gelu_fast": TanhGELU,
    "gelu_accurate": TanhGELU,
    "tanh": Tanh,
    "linear": Linear,
}


def _block(a: Mapping[str, Any], bias: Part[Offsets] | None, factor: Part[Offsets] | None) -> Part[PostNorm]:
    name = a.get("activation_fn", "relu")
    if name not in ACTIVATIONS:
        raise Declined(f"activation_fn={name!r}: the source's layer computes with {', '.join(ACTIVATIONS)}")
    attention = part(UniversalAttention, heads=a.get("num_attention_heads", 8), bias=bias, factor=factor)
    activation = part(ACTIVATIONS[name])
    mlp = part(ActivatedMLP, hidden=a.get("ffn_embedding_dim", 3072), activation=activation, bias=True)
    return part(PostNorm, parts=(attention, mlp))


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """The layer is given its tables of 2T − 1 offsets at each call, so it is built for each length."""

    arguments: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        x, heads = inputs["x"].transpose(0, 1), self.arguments.get("num_attention_heads", 8)
        tables = {n: inputs[theirs] for n, theirs in (("bias", "rel_bias"), ("factor", "ur")) if theirs in inputs}
        parts = {n: part(EachOffset, heads=heads, span=x.shape[1]) for n in tables}
        block = _block(self.arguments, parts.get("bias"), parts.get("factor")).build(Place(x.shape[-1]))
        given = {**self.weights, **{f"parts.0.{n}.table": table for n, table in tables.items()}}
        padding = inputs.get("self_attn_padding_mask")
        ctx = Ctx() if padding is None else Ctx(mask=~padding.bool())
        return torch.func.functional_call(block.to(x.dtype).eval(), given, (x, ctx)).transpose(0, 1)


class SentenceEncoder(nn.Module):
    """Words, positions and kinds of segment, a norm, post-norm layers that share their tables of offsets."""

    def __init__(self, a: Mapping[str, Any]) -> None:
        super().__init__()
        dim = a.get("embedding_dim", 768)
        place, tables = Place(dim), {n: _offsets(a, n) for n in ("bias", "factor")}
        self.pad, self.scale = a["padding_idx"], a.get("embed_scale")
        self.words = nn.Embedding(a["vocab_size"], dim)
        self.places = _places(a)
        kinds = a.get("num_segments", 2)
        self.kinds = nn.Embedding(kinds, dim) if kinds > 0 else None
        self.quant_noise = nn.Linear(dim, dim, bias=False) if a.get("q_noise", 0.0) > 0 else None
        self.norm = nn.LayerNorm(dim) if a.get("encoder_normalize_before", False) else None
        self.bias, self.factor = (None if t is None else t.build(place) for t in tables.values())
        block = _block({**a, "num_attention_heads": a.get("num_attention_heads", 8)}, *tables.values())
        self.stack = Stack(dim, depth=a.get("num_encoder_layers", 6), blocks=(block,), place=place)

    def forward(self, ids_BT: Tensor, kinds_BT: Tensor | None) -> Tensor:
        real = ids_BT != self.pad
        x = self.words(ids_BT) if self.scale is None else self.words(ids_BT) * self.scale
        if self.places is not None:
            x = x + self.places(real.long().cumsum(1) * real + self.pad)
        if self.kinds is not None and kinds_BT is not None:
            x = x + self.kinds(kinds_BT)
        for layer in (self.quant_noise, self.norm):
            x = x if layer is None else layer(x)
        if bool(real.all()):
            return self.stack(x)[0].x
        return self.stack(x * real[..., None], Ctx(mask=real))[0].x


def _offsets(a: Mapping[str, Any], name: str) -> Part[Offsets] | None:
    on, unique, buckets, farthest = {
        "bias": ("rel_pos", "rel_pos_unique", "rp_bucket", "max_rp"),
        "factor": ("ur_attn", "ur_attn_unique", "ur_rp_bucket", "ur_max_rp"),
    }[name]
    heads, length = a.get("num_attention_heads", 8), a.get("max_seq_len", 256)
    if not a.get(on, True):
        return None
    if a.get(unique, False):
        return Tied(name, part(EachOffset, heads=heads, span=length))
    buckets, farthest = a.get(buckets, 64), a.get(farthest, 128)
    return Tied(name, part(LogOffsets, heads=heads, buckets=buckets, farthest=farthest, length=length))


def _places(a: Mapping[str, Any]) -> nn.Embedding | None:
    if not a.get("use_position_embeddings", True):
        return None
    if not a.get("offset_positions_by_padding", True):
        raise Declined("offset_positions_by_padding=False: the source's positions cannot do without a padding symbol")
    dim, pad = a.get("embedding_dim", 768), a["padding_idx"]
    if a.get("learned_pos_embedding", True):
        return nn.Embedding(a.get("max_seq_len", 256) + pad + 1, dim)
    # Sinusoids: sines, then cosines; the source keeps no weights of them.
    half = dim // 2
    rate = torch.exp(torch.arange(half, dtype=torch.float) * -(math.log(10000) / (half - 1)))
    angle = torch.arange(a.get("max_seq_len", 256) + pad + 1, dtype=torch.float)[:, None] * rate
    table = F.pad(torch.cat((angle.sin(), angle.cos()), 1), (0, dim % 2))
    table[pad] = 0
    return nn.Embedding.from_pretrained(table)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Layer | SentenceEncoder:
    ours = renamed(weights, RULES, drop=r"_float_tensor$")
    if source == "TransformerSentenceEncoderLayer":
        return Layer(arguments, ours)
    if source != "TransformerSentenceEncoder":
        raise Declined(f"source={source!r}: known are TransformerSentenceEncoder and TransformerSentenceEncoderLayer")
    model = SentenceEncoder(arguments)
    for name in ("bias", "factor"):  # one table for all layers, saved under each
        if f"{name}.table" in ours:
            depth = arguments.get("num_encoder_layers", 6)
            ours |= {f"stack.blocks.{n}.parts.0.{name}.table": ours[f"{name}.table"] for n in range(depth)}
    if model.places is not None and "places.weight" not in ours:
        ours["places.weight"] = model.places.weight.to(ours["words.weight"].dtype)
    return fill(model, ours)


def replay(
    loaded: Layer | SentenceEncoder, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    if isinstance(loaded, Layer):
        return {"y": loaded(inputs)}
    ids = inputs["tokens"]
    at = torch.arange(ids.shape[1])
    offset_TT = at - at[:, None]
    found = {"y": loaded(ids, inputs.get("segment_labels")).transpose(0, 1)}
    for name, table in (("bucket", loaded.bias), ("ur_bucket", loaded.factor)):
        if isinstance(table, Offsets):
            found[name] = table.index(offset_TT)
    return found
