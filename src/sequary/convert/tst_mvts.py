"""gzerveas/mvts_transformer: `src/models/ts_transformer.py`, `TSTransformerEncoder` and `TSTransformerEncoderClassiregressor`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import BatchNorm, LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.convert.weights import fill, renamed
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.categorical import Categorical
from sequary.heads.flat import Flat
from sequary.heads.values import Values
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.series import SeriesEncoder
from sequary.tokens.joint_patches import JointPatches
from sequary.tokens.positions import LearnedPositions

LAYER = r"^transformer_encoder\.layers\.(\d+)\."
RULES = (
    (LAYER + r"self_attn\.out_proj", r"backbone.blocks.\1.parts.0.o"),
    (LAYER + r"linear1", r"backbone.blocks.\1.parts.1.up"),
    (LAYER + r"linear2", r"backbone.blocks.\1.parts.1.down"),
    (LAYER + r"norm1", r"backbone.blocks.\1.norms.0.norm"),
    (LAYER + r"norm2", r"backbone.blocks.\1.norms.1.norm"),
    (LAYER + r"self_attn\.in_proj_(weight|bias)", r"backbone.blocks.\1.parts.0.qkv.\2"),
    (r"^project_inp", "tokens.embed"),
    (r"^pos_enc\.pe$", "positions.table"),
)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> SeriesEncoder:
    """`arguments`: those of the class; dropout and freeze have no effect in eval mode."""
    a, whole = arguments, source.endswith("Classiregressor")
    act = "relu" if a.get("activation", "gelu") == "relu" else "gelu"
    block = part(
        PostNorm,
        parts=(part(Attention, heads=a["n_heads"]), part(MLP, hidden=a["dim_feedforward"], activation=act)),
        norm=part(LayerNorm) if a.get("norm", "BatchNorm") == "LayerNorm" else part(BatchNorm),
    )
    head = part(Values, outputs=a["feat_dim"])
    if whole:
        head = part(Flat, tokens=a["max_len"], head=part(Categorical, vocab=a["num_classes"], bias=True))
    model = part(
        SeriesEncoder,
        tokens=part(JointPatches, channels=a["feat_dim"]),
        positions=part(LearnedPositions, length=a["max_len"]),
        backbone=part(Stack, depth=a["num_layers"], blocks=(block,)),
        activation=act,
        head=head,
    ).build(Place(a["d_model"]))
    out = "heads.main.head.out" if whole else "heads.main.out"
    ours = renamed(weights, (*RULES, (r"^output_layer", out)), r"num_batches_tracked")
    fill(model, dict(item for k, v in ours.items() for item in _ours(k, v, a["d_model"])))
    # Their fixed table of sines is a buffer, rounded to float32: taken as it is, and kept still.
    model.positions.requires_grad_(a.get("pos_encoding", "fixed") != "fixed")
    return model


def _ours(name: str, value: Tensor, dim: int) -> list[tuple[str, Tensor]]:
    """Fused projections taken apart, the factor sqrt(d_model) of the input folded in, positions without their batch axis."""
    stem, _, leaf = name.rpartition(".")
    if stem.endswith(".qkv"):
        return [(f"{stem}.{n}.{leaf}", part) for n, part in zip("qkv", value.chunk(3), strict=True)]
    if stem == "tokens.embed":
        return [(name, value * math.sqrt(dim))]
    return [(name, value[:, 0] if name == "positions.table" else value)]


def replay(loaded: SeriesEncoder, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    batch = Batch(values=inputs["x"], observed=inputs.get("padding_masks"))
    if isinstance(loaded.head, Flat):
        return {"y": loaded.head(loaded(batch).hidden)}
    # Theirs reads padding too, where our hidden values are 0.
    y = loaded.head(loaded.encode(batch)[0])
    if "target" not in inputs:
        return {"y": y}
    counted = inputs["target_mask"]
    if "padding_masks" in inputs:
        counted = counted & inputs["padding_masks"][..., None]
    each = (y - inputs["target"]).square()[counted]
    return {"y": y, "loss_each": each, "loss_mean": each.mean()}
