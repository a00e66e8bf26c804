"""Jhryu30/AnomalyBERT: `models/anomaly_transformer.py`, class `AnomalyTransformer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.point_scores import PointScores
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.relative import RelativeAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.series import SeriesEncoder
from sequary.tokens.joint_patches import JointPatches
from sequary.tokens.positions import LearnedPositions, NoPositions, Positions, SinePositions

LAYER = r"^transformer_encoder\.encoder_layers\.(\d+)\."
RULES = (
    (
        LAYER + r"attention_layer\.word_fc_layers\.(\d)",
        lambda m: f"backbone.blocks.{m[1]}.parts.0.qkv.{'qkv'[int(m[2])]}",
    ),
    (LAYER + r"attention_layer\.output_fc_layer", r"backbone.blocks.\1.parts.0.o"),
    (LAYER + r"attention_layer\.relative_position_embedding_table", r"backbone.blocks.\1.parts.0.relative.table"),
    (LAYER + r"feed_forward_layer\.first_fc_layer", r"backbone.blocks.\1.parts.1.up"),
    (LAYER + r"feed_forward_layer\.second_fc_layer", r"backbone.blocks.\1.parts.1.down"),
    (LAYER + r"norm_layers\.(\d)", r"backbone.blocks.\1.norms.\2.norm"),
    (r"^transformer_encoder\.positional_encoding_layer\.\w+", "positions.table"),
    (r"^linear_embedding", "tokens.embed"),
    (r"^mlp_layers\.0", "heads.main.up"),
    (r"^mlp_layers\.2", "heads.main.out"),
)
LEARNED = ("absolute", "abs")
KINDS = ("none", "sinusoidal", "sin", *LEARNED)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> SeriesEncoder:
    """`arguments`: those of `get_anomaly_transformer`."""
    a = arguments
    hidden = int(a.get("hidden_dim_rate", 4.0) * a["d_embed"])
    attention: Part[Mixer] = part(Attention, heads=a["transformer_n_head"])
    if a.get("relative_position_embedding", True):
        attention = part(RelativeAttention, heads=a["transformer_n_head"], span=a["max_seq_len"])
    block = part(PreNorm, parts=(attention, part(MLP, hidden=hidden)), norm=part(LayerNorm, eps=1e-6))
    model = part(
        SeriesEncoder,
        tokens=part(JointPatches, channels=a["input_d_data"], patch=a["patch_size"]),
        positions=_positions(a, weights),
        backbone=part(Stack, depth=a["transformer_n_layer"], blocks=(block,)),
        head=part(PointScores, patch=a["patch_size"], hidden=hidden, outputs=a["output_d_data"]),
    ).build(Place(a["d_embed"]))
    ours = renamed(weights, RULES, r"relative_position_index")
    # Their table is [query − key + max_seq_len − 1, head], ours [head, key − query + span − 1].
    tables = {k: v.flip(0).T.contiguous() for k, v in ours.items() if k.endswith("relative.table")}
    places = {k: v.view(-1, a["d_embed"]) for k, v in ours.items() if k == "positions.table"}
    fill(model, ours | tables | places)
    model.positions.requires_grad_(str(a.get("positional_encoding")).lower() in LEARNED)  # sines keep still
    return model


def replay(loaded: SeriesEncoder, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return {"y": loaded.head(loaded(Batch(values=inputs["x"])).hidden)}


def _positions(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Part[Positions]:
    """Learned ones, or sines; a table of sines that was saved is taken as it is."""
    kind = str(a.get("positional_encoding")).lower()
    if kind not in KINDS:
        raise Declined(f"positional_encoding={a['positional_encoding']!r}: known are {', '.join(KINDS)}")
    if kind == "none":
        return part(NoPositions)
    saved = next((v for k, v in weights.items() if "positional_encoding_layer." in k), None)
    return part(SinePositions) if saved is None else part(LearnedPositions, length=saved.numel() // a["d_embed"])
