"""bytedance/1d-tokenizer: the model `RAR`, and MaskGIT's tokenizer, `Encoder + VectorQuantizer + Decoder`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.adaln import AdaLN
from sequary.blocks.norms import LayerNorm
from sequary.convert.weights import fill, renamed
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.decode.choice import Likeliest
from sequary.decode.guidance import UNGUIDED, doubled
from sequary.decode.raster import CodeByCode
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.normed import NormedAttention
from sequary.mixers.attention.query_key import Normed
from sequary.mixers.mlp.dense import MLP
from sequary.models.permuted import PREFIX, PermutedCodes
from sequary.tokens.codebook import Euclidean
from sequary.tokens.image_pool import Lost, PoolCoder
from sequary.tokens.vq import VQ

SOFT = 0.7
"""Temperature of the source's soft codes."""
CODER = (
    (r"^(encoder|decoder)\.", r"coder.\1."),
    (r"\.conv_in\.", ".first."),
    (r"\.conv_out\.", ".last."),
    (r"\.norm_out\.", ".norm."),
    (r"\.mid\.", ".middle."),
    (r"\.(?:down|up)\.(\d+)\.block\.", r".levels.\1."),
    (r"\.up\.(\d+)\.upsample_conv\.", lambda m: f".ups.{int(m[1]) - 1}."),
    (r"\.nin_shortcut\.", ".shortcut."),
    (r"^quantize\.embedding", "codebook.table"),
)
PRIOR = (
    (r"^adaln_before_head\.adaLN_modulation\.1", "norm.modulation.out"),
    (r"^lm_head", "heads.main.out"),
    (r"^blocks\.", "backbone.blocks."),
    (r"\.norm1\.", ".norms.0.norm."),
    (r"\.norm2\.", ".norms.1.norm."),
    (r"\.attn\.([qk])_norm\.", r".parts.0.normal.\1."),
    (r"\.attn\.proj\.", ".parts.0.o."),
    (r"\.attn\.qkv\.", ".parts.0.qkv."),
    (r"\.mlp\.fc1\.", ".parts.1.up."),
    (r"\.mlp\.fc2\.", ".parts.1.down."),
    (r"blocks\.(\d+)\.adaLN_modulation\.1\.", r"blocks.\1.modulation.out."),
)


@dataclasses.dataclass(frozen=True, slots=True)
class InSingle:
    """`PowerCosine` computed in float32, as in the source."""

    w: float
    power: float

    def weight(self, done: float) -> float:
        step = (1 - torch.cos(done ** torch.tensor([self.power]) * torch.pi)) / 2
        return float((self.w - 1) * step + 1)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> VQ | PermutedCodes:
    return _prior(arguments, weights) if source == "RAR" else _tokenizer(arguments, weights)


def _tokenizer(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> VQ:
    multiples = tuple(a["channel_mult"])
    side = a["resolution"] // 2 ** (len(multiples) - 1)
    coder = part(
        PoolCoder,
        channels=weights["encoder.conv_in.weight"].shape[1],
        width=a["hidden_channels"],
        multiples=multiples,
        blocks=a["num_res_blocks"],
        block=part(Lost, groups=a.get("group_norm_groups", 32)),
    )
    made = part(
        VQ,
        vocab=a["num_embeddings"],
        code=a["z_channels"],
        grid=(side, side),
        coder=coder,
        codebook=a.get("commitment_cost", 0.25),
        commitment=1.0,
    )
    return fill(made.build(Place(1)), renamed(weights, CODER))


def _prior(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> PermutedCodes:
    cells, vocab, classes = a["image_seq_len"], a["codebook_size"], a["condition_num_classes"]
    attention = part(NormedAttention, heads=a["num_attention_heads"], normal=part(Normed, eps=1e-6))
    mlp = part(MLP, hidden=a["intermediate_size"])
    block = part(AdaLN, parts=(attention, mlp), norm=part(LayerNorm, eps=1e-6))
    made = part(
        PermutedCodes,
        classes=classes,
        vocab=vocab,
        cells=cells,
        backbone=part(Stack, depth=a["num_hidden_layers"], blocks=(block,)),
        head=part(Categorical, vocab=vocab, bias=True),
    )
    tables = ("embeddings.weight", "cls_token", "pos_embed", "target_aware_pos_embed", "timesteps_embeddings")
    symbols, start, own, told, slots = (weights[name] for name in tables)
    ours = {
        "codes.weight": symbols[:vocab],
        "classes_table.weight": symbols[vocab + 1 : vocab + 2 + classes],
        "start": start.flatten(),
        "places": own[0, : PREFIX + cells],
        "targets": told[0, PREFIX : PREFIX + cells],
        "slots": slots[0, : PREFIX + cells],
    }
    for name, value in renamed({k: v for k, v in weights.items() if k not in tables}, PRIOR, r"attn_mask").items():
        if ".qkv." in name:
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                ours[name.replace(".qkv.", f".qkv.{letter}.")] = third
        else:
            # Theirs: scale before shift in the last norm.
            ours[name] = torch.cat(value.chunk(2)[::-1]) if name.startswith("norm.modulation") else value
    return fill(made.build(Place(a["hidden_size"])), ours)


def replay(loaded: VQ | PermutedCodes, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, VQ):
        return _replay_tokenizer(loaded, inputs["img"])
    ids, label, orders = inputs["ids"], inputs["label"], inputs["orders"]
    raster = torch.arange(ids.shape[1]).expand_as(ids)
    none = torch.full_like(label, loaded.classes)

    def logits(classes: Tensor, order: Tensor) -> Tensor:
        return loaded.head(loaded.sequence(ids.gather(1, order), classes, order))

    scale, power = arguments["guidance_scale"], arguments["guidance_scale_pow"]
    decoder = CodeByCode(
        grid=(ids.shape[1],), choice=Likeliest(), guidance=InSingle(scale, power) if scale else UNGUIDED
    )
    codes, trace = decoder.run(loaded, doubled(loaded, Batch(values=ids, cond=label)), torch.Generator())
    return {
        "logits": logits(label, orders),
        "labels": ids.gather(1, orders),
        "logits_raster": logits(label, raster),
        "logits_uncond": logits(none, orders),
        "gen_ids": codes,
        "gen_logits": torch.cat([t["logits"] for t in trace], 1),
    }


def _replay_tokenizer(vq: VQ, image: Tensor) -> dict[str, Tensor]:
    assert isinstance(vq.codebook, Euclidean)
    latent = vq.coder.encoder(image)
    z = rearrange(latent, "b c h w -> b (h w) c")
    codes = vq.codebook.nearest(z)
    rebuilt, terms = vq.learn(image, torch.Generator())
    return {
        "latent": latent,
        "idx": codes,
        "vq_loss": terms["quantiser"],
        "zq": rearrange(vq.codebook(codes), "b (h w) c -> b c h w", h=latent.shape[2]),
        "rec": rebuilt,
        "soft_code": (-vq.codebook.distances(z) / SOFT).softmax(-1),
    }
