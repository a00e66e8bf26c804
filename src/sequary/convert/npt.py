"""OATML/Non-Parametric-Transformers: the block `MHSA` of `npt_modules.py`, and `NPTModel` over columns of any encodings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.blocks.chain import Chain
from sequary.blocks.mapped_residual import MappedResidual
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.npt_parts import Block, Settings, Table
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.query_normed import QueryNormedAttention
from sequary.mixers.mlp.dense import MLP

PLAIN: tuple[Rule, ...] = (
    (r"mab\.fc_([qkv])\.", r"parts.0.parts.0.qkv.\1."),
    (r"mab\.fc_mix_heads\.", "parts.0.parts.0.o."),
    (r"mab\.ln0\.", "parts.0.parts.0.norm."),
    (r"mab\.fc_res\.", "parts.0.maps.0."),
    (r"mab\.ln1\.", "parts.1.norms.0.norm."),
    (r"mab\.rff\.0\.", "parts.1.parts.0.up."),
    (r"mab\.rff\.[1-9]\.", "parts.1.parts.0.down."),
)
VARIANT: tuple[Rule, ...] = (
    (r"mab\.fc_([qkv])\.", r"qkv.\1."),
    (r"mab\.fc_mix_heads\.", "o."),
    (r"mab\.fc_res\.", "residual."),
    (r"mab\.ln([01])\.", r"norms.\1."),
)
COLUMNS: tuple[Rule, ...] = (
    (r"^in_embedding\.", "enter."),
    (r"^out_embedding\.", "leave."),
    (r"^embedding_layer_norm\.", "norm."),
)
LISTENED = r"save_att_maps\."
"""What the source leaves in its state dict when it has been asked to show its attention."""


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    if source not in ("MHSA", "NPTModel"):
        raise Declined(f"source={source!r}: known are MHSA and NPTModel")
    settings = Settings.of(arguments)
    rules = PLAIN if settings.plain else (*VARIANT, _layers(arguments))
    if source == "MHSA":
        return fill(_block(settings).build(Place(arguments["dim"])), renamed(weights, rules, LISTENED))
    if arguments.get("model_image_n_patches"):
        raise Declined(
            f"model_image_n_patches={arguments['model_image_n_patches']!r}: which patcher cuts the image, and what it "
            "shares, are settings that the source reads beside this one"
        )
    numbers = sorted({int(key.split(".")[1]) for key in weights if key.startswith("enc.")})
    named = {f"enc.{number}.": f"blocks.{n}.inner." for n, number in enumerate(numbers)}
    ours = {re.sub(r"^enc\.\d+\.", lambda m: named[m[0]], key): value for key, value in weights.items()}
    moved = renamed(ours, (*rules, *COLUMNS), f"{LISTENED}|^feature_(index|type)_embedding")
    return fill(_table(settings, arguments, len(numbers)), {**moved, "columns": _columns(arguments, weights)})


def _block(settings: Settings) -> Part[Mixer]:
    if not settings.plain:
        return part(Block, settings=settings)
    attention = part(QueryNormedAttention, heads=settings.heads, eps=settings.eps)
    feed = part(PreNorm, parts=(part(MLP),), norm=part(LayerNorm, eps=settings.eps))
    return part(Chain, parts=(part(MappedResidual, parts=(attention,)), feed))


def _layers(arguments: Mapping[str, Any]) -> Rule:
    """The linear maps of the feed-forward stand between activations, and dropouts where there are any."""
    every = 3 if arguments.get("model_hidden_dropout_prob", 0.1) else 2
    return r"mab\.rff\.(\d+)\.", lambda found: f"feed.{int(found[1]) // every}."


def _table(settings: Settings, arguments: Mapping[str, Any], depth: int) -> Table:
    widths: list[int] = arguments["metadata"]["input_feature_dims"]
    mask = int(arguments.get("model_bert_augmentation", True))
    return Table(
        arguments.get("model_dim_hidden", 64),
        widths,
        [width - mask for width in widths],
        [_block(settings)] * depth,
        settings.eps if arguments.get("model_embedding_layer_norm", False) else None,
    )


def _columns(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Tensor:
    """[C, E]: the vectors of index and type, where there are such."""
    metadata, like = arguments["metadata"], weights["in_embedding.0.weight"]
    total = like.new_zeros(len(metadata["input_feature_dims"]), like.shape[0])
    if "feature_index_embedding.weight" in weights:
        total = total + weights["feature_index_embedding.weight"]
    if "feature_type_embedding.weight" in weights:
        numeric = torch.tensor([n in metadata["num_features"] for n in range(len(total))])
        total = total + weights["feature_type_embedding.weight"][(~numeric).long()]
    return total


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if not isinstance(loaded, Table):
        return {"y": loaded(inputs["X"])}
    columns = [inputs[f"col{n}"] for n in range(len(inputs))]
    return {f"col{n}": y for n, y in enumerate(loaded(columns))}
