"""Blocks, feed-forwards, convolutions and parts of series models of transformers beside ours, in float32."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import transformers

from sequary.backbones.stack import Stack
from sequary.blocks.layer_scale import LayerScaled
from sequary.blocks.norms import LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.linear_series import TrendRemainder
from sequary.heads.pooled import FirstTokenClass
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.subsampled import SubsampledAttention
from sequary.mixers.conv.depthwise_mlp import DepthwiseMLP
from sequary.mixers.conv.light import DynamicConv, LightConv
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.spark import SparkMLP
from sequary.mixers.spectral.causal_fourier import CausalFourier
from sequary.models.text_classifier import TextClassifier, logits
from sequary.ops.attend import attend
from sequary.tokens.overlap_patches import OverlapPatches
from sequary.tokens.series import InstanceNorm
from sequary.tokens.symbols import Embedding
from tests.parity.side_by_side import Oracles, Pairs, noisy, normal, shown

ORACLES = Oracles("transformers")


@ORACLES.of("BertForSequenceClassification", "TextClassifier")
def bert() -> Pairs:
    settings: dict[str, Any] = {
        "vocab_size": 23, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40,
        "max_position_embeddings": 50, "type_vocab_size": 3, "num_labels": 4,
    }  # fmt: skip
    theirs = noisy(transformers.BertForSequenceClassification(transformers.BertConfig(**settings)))
    norm = part(LayerNorm, eps=1e-12)
    block = part(PostNorm, parts=(part(Attention, heads=3), part(MLP, hidden=40)), norm=norm)
    ours = part(
        TextClassifier, tokens=part(Embedding, vocab=23, positions=50), backbone=part(Stack, depth=2, blocks=(block,)),
        head=part(FirstTokenClass, classes=4), kinds=3, norm=norm,
    ).build(Place(24))  # fmt: skip
    rules = (
        (r"^bert\.embeddings\.word_embeddings", "tokens.table"), (r"^bert\.embeddings\.position_embeddings", "tokens.places"),
        (r"^bert\.embeddings\.token_type_embeddings", "kinds"), (r"^bert\.embeddings\.LayerNorm", "norm.norm"),
        (r"^bert\.encoder\.layer", "backbone.blocks"), (r"attention\.self\.([qkv])[a-z]+", r"parts.0.qkv.\1"),
        (r"attention\.output\.dense", "parts.0.o"), (r"attention\.output\.LayerNorm", "norms.0.norm"),
        (r"intermediate\.dense", "parts.1.up"), (r"output\.dense", "parts.1.down"), (r"output\.LayerNorm", "norms.1.norm"),
        (r"^bert\.pooler\.dense", "heads.main.pool"), (r"^classifier", "heads.main.out"),
    )  # fmt: skip
    fill(ours, renamed(theirs.state_dict(), rules, drop="position_ids"))
    rng = torch.Generator().manual_seed(1)
    ids, kinds = torch.randint(23, (2, 37), generator=rng), torch.randint(3, (2, 37), generator=rng)
    real = torch.arange(37) < torch.tensor([[37], [29]])
    found = theirs(ids, attention_mask=real.long(), token_type_ids=kinds).logits
    return [(found, logits(ours, Batch(values=ids, observed=real, static=kinds)))]


@ORACLES.of("Dinov2Layer", "LayerScaled")
def dinov2() -> Pairs:
    from transformers.models.dinov2.modeling_dinov2 import Dinov2Layer

    theirs = noisy(Dinov2Layer(transformers.Dinov2Config(hidden_size=24, num_attention_heads=3, mlp_ratio=2)))
    block = part(LayerScaled, parts=(part(Attention, heads=3), part(MLP, hidden=48)), norm=part(LayerNorm, eps=1e-6))
    rules = (
        (r"^norm1", "norms.0.norm"), (r"^norm2", "norms.1.norm"), (r"^attention\.([qkv])_proj", r"parts.0.qkv.\1"),
        (r"^attention\.o_proj", "parts.0.o"), (r"^mlp\.fc1", "parts.1.up"), (r"^mlp\.fc2", "parts.1.down"),
        (r"^layer_scale1\.lambda1", "scales.0"), (r"^layer_scale2\.lambda1", "scales.1"),
    )  # fmt: skip
    ours, x = fill(block.build(Place(24)), renamed(theirs.state_dict(), rules)), normal(2, 37, 24)
    return [(theirs(x), ours(x))]


@ORACLES.of("PvtV2BlockLayer", "PreNorm(SubsampledAttention, DepthwiseMLP)")
def pvt() -> Pairs:
    """From the image on: overlapping patches, attention to a sampled map, a feed-forward with a convolution inside."""
    from transformers.models.pvt_v2.modeling_pvt_v2 import PvtV2BlockLayer, PvtV2OverlapPatchEmbeddings

    config = transformers.PvtV2Config(
        hidden_sizes=[24], num_attention_heads=[3], sr_ratios=[2], mlp_ratios=[3], patch_sizes=[7], strides=[4], depths=[1],
        num_encoder_blocks=1, layer_norm_eps=1e-5,
    )  # fmt: skip
    patches, theirs = noisy(PvtV2OverlapPatchEmbeddings(config, 0)), noisy(PvtV2BlockLayer(config, 0))
    tokens = OverlapPatches(24, channels=3, patch=7, stride=4, norm=part(LayerNorm))
    fill(tokens, renamed(patches.state_dict(), ((r"^proj", "embed"), (r"^layer_norm", "norm.norm"))))
    mixers = (part(SubsampledAttention, heads=3, stride=2), part(DepthwiseMLP, ratio=3))
    rules = (
        (r"^layer_norm_1", "norms.0.norm"), (r"^layer_norm_2", "norms.1.norm"), (r"^attention\.([qkv])[a-z]+\.", r"parts.0.qkv.\1."),
        (r"^attention\.proj\.", "parts.0.o."), (r"^attention\.spatial_reduction", "parts.0.sample"),
        (r"^attention\.layer_norm", "parts.0.norm"), (r"^mlp\.dense1", "parts.1.up"), (r"^mlp\.dense2", "parts.1.down"),
        (r"^mlp\.dwconv\.dwconv", "parts.1.conv"),
    )  # fmt: skip
    ours = fill(part(PreNorm, parts=mixers, norm=part(LayerNorm)).build(Place(24)), renamed(theirs.state_dict(), rules))
    image = normal(2, 3, 24, 40)
    wanted, height, width = patches(image)
    x, grid = tokens(image)
    return [(wanted, x), (theirs(wanted, height, width)[0], ours(x, Ctx(grid=grid)))]


@ORACLES.of("ConvBertSelfAttention", "DynamicConv")
def convbert() -> Pairs:
    """Half of the heads attend, half mix values by kernels made of the query and of what a separable convolution sees around it."""
    from transformers.models.convbert.modeling_convbert import ConvBertSelfAttention

    config = transformers.ConvBertConfig(hidden_size=24, num_attention_heads=6, head_ratio=2, conv_kernel_size=5)
    theirs, x, real = (
        noisy(ConvBertSelfAttention(config)),
        normal(2, 37, 24),
        torch.arange(37) < torch.tensor([[37], [29]]),
    )
    around = LightConv(24, heads=24, taps=5, ahead=2, softmax=False)
    around.load_state_dict({"weight": theirs.key_conv_attn_layer.depthwise.weight[:, 0]})
    conv = DynamicConv(12, heads=3, taps=5, ahead=2, kernel_bias=True)
    conv.load_state_dict({f"kernel.{k}": v for k, v in theirs.conv_kernel_layer.state_dict().items()})
    q, k, v = (f(x) for f in (theirs.query, theirs.key, theirs.value))
    point = theirs.key_conv_attn_layer
    span = F.linear(around(x), point.pointwise.weight[..., 0], point.bias[:, 0])
    mixed, _ = conv.mix(theirs.conv_out_layer(x), conv.kernels(span * q), conv.init_state(2), Ctx())
    heads = (y.unflatten(-1, (3, 4)).transpose(1, 2) for y in (q, k, v))
    read = attend(*heads, sees=real[:, None, None].expand(-1, 1, 37, -1)).transpose(1, 2).flatten(2)
    return [(theirs(x, shown(real))[0], torch.cat((read, mixed), -1))]


@ORACLES.of("FNetBasicFourierTransform", "CausalFourier")
def fnet() -> Pairs:
    """Of every window of one channel, the last entry of FNet's transform, here unitary; before the first token stand zeros."""
    from transformers.models.fnet.modeling_fnet import FNetBasicFourierTransform

    theirs, x, pairs = (
        FNetBasicFourierTransform(transformers.FNetConfig()),
        normal(2, 37, 6),
        list[tuple[torch.Tensor, torch.Tensor]](),
    )
    for window in (1, 7, 64):
        windows = F.pad(x, (0, 0, window - 1, 0)).unfold(1, window, 1)
        (wanted,) = theirs(windows.reshape(-1, window, 1))
        pairs.append((wanted[:, -1, 0].view_as(x) / window**0.5, CausalFourier(6, window=window)(x)))
    return pairs


@ORACLES.of("Gemma3nTextMLP", "SparkMLP")
def gemma3n() -> Pairs:
    """Scores and values read the same features there and two halves here: a half each, alike."""
    from transformers.models.gemma3n.modeling_gemma3n import Gemma3nTextMLP

    config = transformers.Gemma3nTextConfig(
        hidden_size=16, intermediate_size=48, num_hidden_layers=1, activation_sparsity_pattern=[0.9]
    )
    theirs, ours, x = noisy(Gemma3nTextMLP(config)), SparkMLP(32, active=0.1, hidden=48), normal(2, 37, 16)
    w = {name.removesuffix("_proj.weight"): weight for name, weight in theirs.state_dict().items()}
    ours.load_state_dict(
        {"score.weight": w["gate"], "up.weight": w["up"], "down.weight": torch.cat((w["down"], w["down"]))}
    )
    return [(theirs(x), ours(torch.cat((x, x), -1))[..., :16])]


@ORACLES.of("AutoformerSeriesDecompositionLayer", "TrendRemainder")
def autoformer() -> Pairs:
    """Trend and remainder, each through a linear map of ours; windows longer and shorter than the average."""
    from transformers.models.autoformer.modeling_autoformer import AutoformerSeriesDecompositionLayer

    pairs: Pairs = []
    for length, kernel in ((37, 7), (12, 25)):
        theirs = AutoformerSeriesDecompositionLayer(transformers.AutoformerConfig(moving_average=kernel))
        ours, x = noisy(TrendRemainder(length, horizon=5, kernel=kernel)), normal(2, length, 3)
        rest, trend = (y.transpose(1, 2) for y in theirs(x))
        wanted = ours.trend(trend) + ours.remainder(rest)
        pairs.append((wanted.transpose(1, 2), ours.mean(x.transpose(1, 2)[:, :, None])))
    return pairs


@ORACLES.of("TimeSeriesStdScaler", "InstanceNorm")
def scaler() -> Pairs:
    """With missing values, one channel without any other."""
    from transformers.models.time_series_transformer.modeling_time_series_transformer import TimeSeriesStdScaler

    x, seen = 3 + 2 * normal(2, 37, 4), normal(2, 37, 4, seed=1) > -0.5
    seen[0, :, 2] = False
    wanted, mean, size = TimeSeriesStdScaler(transformers.TimeSeriesTransformerConfig())(x, seen)
    scaled, scale = InstanceNorm(1)(x, seen)
    return [(wanted[seen], scaled[seen]), (mean, scale.shift), (size, scale.size)]
