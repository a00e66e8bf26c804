"""FoundationVision/VAR: the tokenizer `VQVAE (VectorQuantizer2)` and the model `VAR` with its tokenizer as `vae`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.adaln import AdaLN, AdaNorm, Modulation, SharedModulation
from sequary.blocks.norms import LayerNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.part import Part, Tied, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.decode.choice import Likeliest
from sequary.decode.guidance import Growing
from sequary.decode.scales import ScaleByScale
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.normed import NormedAttention
from sequary.mixers.attention.query_key import Scaled, Unit
from sequary.mixers.mlp.tanh_gelu import TanhMLP
from sequary.models.next_scale import NextScale
from sequary.models.tokenized import Tokenized
from sequary.orders.scales import Scales
from sequary.tokens.codebook import Cosine, Euclidean
from sequary.tokens.image_conv import ConvCoder
from sequary.tokens.multiscale_vq import MultiScaleVQ

CODER = (
    (r"^(encoder|decoder)\.", r"coder.\1."),
    (r"\.conv_in\.", ".first."),
    (r"\.conv_out\.", ".last."),
    (r"\.norm_out\.", ".norm."),
    (r"\.mid\.(block|attn)_(\d)\.", lambda m: f".middle.{1 if m[1] == 'attn' else 2 * int(m[2]) - 2}."),
    (r"\.(?:down|up)\.(\d+)\.block\.", r".levels.\1.blocks."),
    (r"\.(?:down|up)\.(\d+)\.attn\.", r".levels.\1.attend."),
    (r"\.(?:down|up)\.(\d+)\.(?:down|up)sample\.", r".levels.\1.resize."),
    (r"\.nin_shortcut\.", ".shortcut."),
    (r"\.proj_out\.", ".out."),
    (r"^quant_conv", "before"),
    (r"^post_quant_conv", "after"),
    (r"^quantize\.embedding", "codebook.table"),
    (r"^quantize\.quant_resi\.qresi\.", "refiners.0.conv."),
    (r"^quantize\.quant_resi\.(?:qresi_ls\.)?(\d+)\.", r"refiners.\1.conv."),
)
PRIOR = (
    (r"^word_embed", "embed"),
    (r"^class_emb", "classes_table"),
    (r"^pos_start", "start"),
    (r"^pos_1LC", "places"),
    (r"^lvl_embed\.weight", "levels"),
    (r"^head_nm\.ada_lin\.1", "norm.modulation.out"),
    (r"^head\.", "heads.main.out."),
    (r"^blocks\.(\d+)\.attn\.proj", r"backbone.blocks.\1.parts.0.o"),
    (r"^blocks\.(\d+)\.attn\.scale_mul_1H11", r"backbone.blocks.\1.parts.0.normal.log_scale"),
    (r"^blocks\.(\d+)\.attn\.", r"backbone.blocks.\1.parts.0."),
    (r"^blocks\.(\d+)\.ffn\.fc1", r"backbone.blocks.\1.parts.1.up"),
    (r"^blocks\.(\d+)\.ffn\.fc2", r"backbone.blocks.\1.parts.1.down"),
    (r"^blocks\.(\d+)\.ada_lin\.1", r"backbone.blocks.\1.modulation.out"),
    (r"^blocks\.(\d+)\.ada_gss", r"backbone.blocks.\1.modulation.table"),
    (r"q_bias$", "qkv.q.bias"),
    (r"zero_k_bias$", "qkv.k.bias"),
    (r"v_bias$", "qkv.v.bias"),
)
CHUNKS = (4, 2, 0, 5, 3, 1)
"""Ours: shift, scale, gate of attention, then of the feed-forward; theirs: both gates, both scales, both shifts."""


def load(
    source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> MultiScaleVQ | Tokenized | NextScale:
    """The sizes of the convolutions are read off the weights; `group_norm_groups` is 32 as in the source unless given.

    Weights of `VAR` without a tokenizer (no `vae.…`) give the prior alone.
    """
    if source.startswith("VQVAE"):
        scales = tuple(arguments["v_patch_nums"])
        made = _tokenizer(arguments, weights, scales).build(Place(1))
        return fill(made, _tokenizer_weights(weights))
    if arguments.get("top_k", 1) != 1:
        raise Declined(f"top_k={arguments['top_k']}: draws from the source's own generator; 1 is greedy")
    vae = {k.removeprefix("vae."): v for k, v in weights.items() if k.startswith("vae.")}
    scales = tuple(arguments["patch_nums"])
    prior, at = _prior(arguments, scales), Place(arguments["embed_dim"])
    ours = _prior_weights({k: v for k, v in weights.items() if not k.startswith("vae.")}, arguments["depth"])
    if not vae:
        return fill(prior.build(at), ours)
    model = part(Tokenized, tokenizer=_tokenizer(arguments, vae, scales), prior=prior).build(at)
    both = {"tokenizer": _tokenizer_weights(vae), "prior": ours}
    return fill(model, {f"{half}.{k}": v for half, tensors in both.items() for k, v in tensors.items()})


def _tokenizer(a: Mapping[str, Any], weights: Mapping[str, Tensor], scales: tuple[int, ...]) -> Part[MultiScaleVQ]:
    width, channels = weights["encoder.conv_in.weight"].shape[:2]
    levels = [f"encoder.down.{i}.block" for i in range(9) if f"encoder.down.{i}.block.0.conv1.weight" in weights]
    multiples = tuple(weights[f"{level}.0.conv1.weight"].shape[0] // width for level in levels)
    blocks = sum(f"{levels[0]}.{j}.conv1.weight" in weights for j in range(9))
    shared, mix = a.get("share_quant_resi", 4), abs(a.get("quant_resi", 0.5))
    groups = a.get("group_norm_groups", 2 if width % 32 else 32)
    coder = part(ConvCoder, channels=channels, width=width, multiples=multiples, blocks=blocks, groups=groups)
    return part(
        MultiScaleVQ,
        vocab=a["vocab_size"],
        code=a["z_channels"],
        scales=scales,
        coder=coder,
        codebook=part(Cosine if a.get("using_znorm", False) else Euclidean, vocab=a["vocab_size"]),
        refiners=shared or len(scales),
        mix=mix if mix > 1e-6 else 0.0,
    )


def _tokenizer_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return renamed(weights, CODER, r"ema_vocab_hit")


def _prior(a: Mapping[str, Any], scales: tuple[int, ...]) -> Part[NextScale]:
    bare = part(LayerNorm, eps=a.get("norm_eps", 1e-6), affine=False)
    normal = part(Unit) if a.get("attn_l2_norm", False) else part(Scaled, factor=0.25)
    modulation = part(Modulation, count=6)
    if a.get("shared_aln", False):
        modulation = part(SharedModulation, of=Tied("shared_aln", modulation), count=6)
    mlp = part(TanhMLP, ratio=float(a.get("mlp_ratio", 4.0)))
    attention = part(NormedAttention, heads=a["num_heads"], normal=normal)
    block = part(AdaLN, parts=(attention, mlp), norm=bare, modulation=modulation)
    return part(
        NextScale,
        classes=a["num_classes"],
        code=a["z_channels"],
        order=Scales(scales),
        backbone=part(Stack, depth=a["depth"], blocks=(block,)),
        head=part(Categorical, vocab=a["vocab_size"], bias=True),
        norm=part(AdaNorm, norm=bare),
    )


def _prior_weights(weights: Mapping[str, Tensor], depth: int) -> dict[str, Tensor]:
    shared = {k.removeprefix("shared_ada_lin.1."): v for k, v in weights.items() if k.startswith("shared_ada_lin.1.")}
    ours = renamed(weights, PRIOR, r"^lvl_1L|^attn_bias|^shared_ada_lin")
    for i in range(depth):
        for kind, value in shared.items():
            ours[f"backbone.blocks.{i}.modulation.map.out.{kind}"] = value
    made: dict[str, Tensor] = {}
    for name, value in ours.items():
        if name.endswith("mat_qkv.weight"):
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                made[name.replace("mat_qkv", f"qkv.{letter}")] = third
        elif name in ("start", "places") or name.endswith("log_scale"):
            made[name] = value.squeeze(0)
        elif name.endswith("modulation.table"):
            made[name] = value.flatten(0, 2)[list(CHUNKS)]
        elif name.startswith("norm.modulation"):
            made[name] = torch.cat(value.chunk(2)[::-1])
        elif ".modulation." in name:
            made[name] = torch.cat([value.chunk(6)[i] for i in CHUNKS])
        else:
            made[name] = value
    return made


def replay(
    loaded: MultiScaleVQ | Tokenized | NextScale, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    if isinstance(loaded, MultiScaleVQ):
        return _replay_tokenizer(loaded, inputs["img"])
    if isinstance(loaded, NextScale):
        raise Declined("weights without vae.…: generation needs the tokenizer")
    prior, label = loaded.prior, inputs["label"]
    assert isinstance(prior, NextScale)
    values = torch.cat((inputs["x"].new_zeros(len(label), prior.first, inputs["x"].shape[-1]), inputs["x"]), 1)
    decoder = ScaleByScale(choice=Likeliest(), guidance=Growing(1 + arguments.get("generation_cfg", 1.5)))
    sample = decoder(loaded, Batch(values=label[:, None], cond=label), torch.Generator())
    codes = torch.cat([t["codes"] for t in sample.trace], 1)
    return {
        "logits": prior.head(prior(Batch(values=values, cond=label)).hidden),
        "gen_logits": torch.cat([t["logits"] for t in sample.trace], 1),
        "gen_idx": codes,
        "gen_img": (sample.raw.clamp(-1, 1) + 1) / 2,
        "gen_tf_input": loaded.tokenizer.inputs(codes)[:, prior.first :],
    }


def _replay_tokenizer(vq: MultiScaleVQ, image: Tensor) -> dict[str, Tensor]:
    latent = vq.features(image)
    codes, hats = vq.quantise(latent)
    tokens = torch.cat(codes, 1)
    return {
        "latent": latent,
        **{f"idx{k}": c for k, c in enumerate(codes)},
        **{f"fhat{k}": h for k, h in enumerate(hats)},
        "var_input": vq.inputs(tokens)[:, vq.scales[0] ** 2 :],
        "rec_unclamped": vq.picture(hats[-1]),
        "rec": vq.decode(tokens).clamp(-1, 1),
    }
