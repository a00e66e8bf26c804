"""transformers' PatchTSTForPrediction with its weights copied into our parts."""

from __future__ import annotations

import pytest
import torch

from sequary.backbones.stack import Stack
from sequary.blocks.norms import BatchNorm
from sequary.blocks.postnorm import PostNorm
from sequary.convert.weights import fill, renamed
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.points import HorizonPoints
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.forecaster import Forecaster
from sequary.tokens.series import ChannelPatches, InstanceNorm

RULES = (
    (r"^model\.encoder\.embedder\.input_embedding", "tokens.embed"),
    (r"^model\.encoder\.positional_encoder\.position_enc", "tokens.positions"),
    (r"^model\.encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj", r"backbone.blocks.\1.parts.0.qkv.\2"),
    (r"^model\.encoder\.layers\.(\d+)\.self_attn\.(out_proj|o_proj)", r"backbone.blocks.\1.parts.0.o"),
    (r"^model\.encoder\.layers\.(\d+)\.ff\.0", r"backbone.blocks.\1.parts.1.up"),
    (r"^model\.encoder\.layers\.(\d+)\.ff\.3", r"backbone.blocks.\1.parts.1.down"),
    (r"^model\.encoder\.layers\.(\d+)\.norm_sublayer1\.batchnorm", r"backbone.blocks.\1.norms.0.norm"),
    (r"^model\.encoder\.layers\.(\d+)\.norm_sublayer3\.batchnorm", r"backbone.blocks.\1.norms.1.norm"),
    (r"^head\.projection", "heads.main.out"),
)


@torch.no_grad()
def test_prediction() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.PatchTSTConfig(
        num_input_channels=3, context_length=32, prediction_length=6, patch_length=8, patch_stride=8, num_hidden_layers=2, d_model=16,
        num_attention_heads=4, ffn_dim=24, norm_type="batchnorm", pre_norm=False, scaling="std", loss="mse", share_embedding=True,
        channel_attention=False, pooling_type=None, use_cls_token=False, activation_function="gelu",
    )  # fmt: skip
    theirs = transformers.PatchTSTForPrediction(config).eval()
    for parameter in theirs.parameters():
        parameter.normal_(0.0, 0.3)
    block = part(PostNorm, parts=(part(Attention, heads=4), part(MLP, hidden=24)), norm=part(BatchNorm))
    ours = part(
        Forecaster,
        scale=part(InstanceNorm),
        tokens=part(ChannelPatches, context=32, patch=8, stride=8, padded=False),
        backbone=part(Stack, depth=2, blocks=(block,)),
        head=part(HorizonPoints, horizon=6, tokens=4),
    ).build(Place(16))
    fill(ours, renamed(dict(theirs.state_dict()), RULES, r"num_batches_tracked"))
    x = torch.randn(2, 32, 3).cumsum(1)
    wanted = theirs(past_values=x).prediction_outputs
    got = ours.mean(ours(Batch(values=x)))
    assert float((got - wanted).abs().max()) <= 1e-5 * max(1.0, float(wanted.abs().max()))
