"""facebookresearch/fairseq: `LightweightConv1dTBC`, `DynamicConv1dTBC`, `LightConvEncoderLayer` and `LightConvDecoderLayer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx, Memory
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.cross import CrossAttention
from sequary.mixers.conv.gated import GatedConv
from sequary.mixers.conv.light import DynamicConv, LightConv, SharedKernel
from sequary.mixers.mlp.dense import MLP

KERNEL = ((r"weight_linear\.", "kernel."), (r"\bconv_bias$", "bias"))
LAYER = (
    (r"^linear1\.", "parts.0.inner."),
    (r"^linear2\.", "parts.0.o."),
    (r"^conv\.", "parts.0.conv."),
    (r"^encoder_attn\.out_proj\.", "parts.1.o."),
    (r"^encoder_attn\.([qkv])_proj\.", r"parts.1.qkv.\1."),
    (r"^(?:layer_norm1|conv_layer_norm)\.", "norms.0.norm."),
    (r"^encoder_attn_layer_norm\.", "norms.1.norm."),
)


class Projected(nn.Module):
    """Values by a linear map of the tokens that the kernels are predicted from: the source's `in_proj`."""

    def __init__(self, dim: int, conv: DynamicConv) -> None:
        super().__init__()
        self.values, self.conv = nn.Linear(dim, dim), conv


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """Layers take embed_dim, conv_dim, kernel_size, glu … without the prefix encoder_ or decoder_ that fairseq's options carry."""
    ours = renamed(weights, KERNEL)
    if source == "LightweightConv1dTBC":
        return fill(_light(arguments, arguments["input_size"]), {k: _flat(v) for k, v in ours.items()})
    if source == "DynamicConv1dTBC":
        return _dynamic(arguments, ours)
    if source not in ("LightConvEncoderLayer", "LightConvDecoderLayer"):
        raise Declined(
            f"source={source!r}: known are the convolutions LightweightConv1dTBC and DynamicConv1dTBC and their layers"
        )
    block = PreNorm if arguments.get("normalize_before", False) else PostNorm
    parts, rules = _parts(source, arguments)
    made = part(block, parts=parts, norm=part(LayerNorm)).build(Place(arguments["embed_dim"]))
    return fill(made, {k: _flat(v) for k, v in renamed(ours, (*LAYER, *rules)).items()})  # fmt: skip


def _flat(weight: Tensor) -> Tensor:
    """Kernels are stored as [H, 1, K]."""
    return weight.squeeze(1) if weight.dim() == 3 else weight


def _shared(a: Mapping[str, Any]) -> dict[str, Any]:
    taps = a.get("kernel_size", 1)
    if a.get("padding_l") is None:
        raise Declined("padding_l=None: the source computes with it; give kernel_size - 1 for a causal convolution")
    ahead = taps - 1 - a["padding_l"]
    softmax = a.get("weight_softmax", False)
    return {"heads": a.get("num_heads", 1), "taps": taps, "ahead": ahead, "softmax": softmax}


def _light(a: Mapping[str, Any], dim: int) -> LightConv:
    return LightConv(dim, **_shared(a), bias=a.get("bias", False))


def _dynamic(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    dim, within = a["input_size"], a.get("in_proj", False)
    shared = _shared(a)
    conv = DynamicConv(
        dim,
        **shared,
        renormalise=shared["softmax"] and a.get("renorm_padding", False),
        bias=a.get("conv_bias", False),
        kernel_bias=within or a.get("bias", False),
        query_dim=None if within else a.get("query_size"),
    )
    if not within:
        return fill(conv, weights)
    given = {k: v for k, v in weights.items() if not k.startswith("kernel.")}
    ours = {f"conv.{k}": v for k, v in given.items()}
    for leaf in ("weight", "bias"):  # one map gives [values, kernels]
        both = weights[f"kernel.{leaf}"]
        ours |= {f"values.{leaf}": both[:dim], f"conv.kernel.{leaf}": both[dim:]}
    return fill(Projected(dim, conv), ours)


def _parts(source: str, a: Mapping[str, Any]) -> tuple[tuple[Part[Recurrent], ...], tuple[tuple[str, str], ...]]:
    decoder, taps = source == "LightConvDecoderLayer", a["kernel_size"]
    if not decoder and taps % 2 == 0:
        raise Declined(
            f"kernel_size={taps} in an encoder: the source pads even kernels by a pair of numbers, which its own layer refuses"
        )
    shared = _shared(
        {
            "kernel_size": taps,
            "padding_l": taps - 1 if decoder else taps // 2,
            "num_heads": a["attention_heads"],
            "weight_softmax": a.get("weight_softmax", True),
        }
    )
    kinds: Mapping[str, Any] = {"lightweight": LightConv, "dynamic": DynamicConv}
    if a["conv_type"] not in kinds:
        raise Declined(f"conv_type={a['conv_type']!r}: the source knows lightweight and dynamic")
    conv = part(kinds[a["conv_type"]], **shared)
    mixer = part(GatedConv, conv=conv, hidden=a.get("conv_dim"), gated=a.get("glu", True))
    mlp = part(MLP, hidden=a["ffn_embed_dim"], activation="relu")
    across = decoder and not a.get("no_encoder_attn", False)
    last = 2 if across else 1
    rules = (
        (r"^(?:layer_norm2|final_layer_norm)\.", f"norms.{last}.norm."),
        (r"^fc1\.", f"parts.{last}.up."),
        (r"^fc2\.", f"parts.{last}.down."),
    )
    return ((mixer, part(CrossAttention, heads=a["attention_heads"]), mlp) if across else (mixer, mlp)), rules


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Time comes first in the source."""
    x = inputs["x"].transpose(0, 1)
    if isinstance(loaded, Projected):
        return {"y": _mixed(loaded.conv, loaded.values(x), x)}
    if isinstance(loaded, SharedKernel):
        query = inputs["query"].transpose(0, 1) if "query" in inputs else x
        return {"y": _mixed(loaded, x, query)}
    memory, padding = inputs.get("encoder_out"), inputs.get("encoder_padding_mask")
    if memory is not None:
        real = None if padding is None else ~padding.bool()
        return {"y": loaded(x, Ctx(memory=Memory(memory.transpose(0, 1), real))).transpose(0, 1)}
    if padding is None or "no_encoder_attn" in arguments:
        return {"y": loaded(x).transpose(0, 1)}
    # The source sets what the convolution reads at padding to zero, and goes on computing there.
    conv = loaded.get_submodule("parts.0.conv")
    with conv.register_forward_pre_hook(lambda _, args: (args[0].masked_fill(padding.bool()[..., None], 0), *args[1:])):
        return {"y": loaded(x).transpose(0, 1)}


def _mixed(conv: SharedKernel, values: Tensor, query: Tensor) -> Tensor:
    return conv.mix(values, conv.kernels(query), conv.init_state(len(values)), Ctx())[0].transpose(0, 1)
