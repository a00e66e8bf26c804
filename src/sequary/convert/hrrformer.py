"""FutureComputing4AI/Hrrformer (Flax): `SelfAttention` and the classifier `Network`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.place import Place
from sequary.mixers.attention.holographic import HolographicAttention, bind, unbind
from sequary.mixers.attention.projection import join
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import Activation

ATTENTION = ((r"(query|key|value)\.", lambda m: f"qkv.{m[1][0]}."), (r"output\.", "o."))


class Leaky(HolographicAttention):
    """As the source: padding is bound too, and -1e9 is added to its score. The mask is of numbers, which have a derivative there."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.attended(x_BTD, None if ctx.mask is None else ctx.mask[:, None].to(x_BTD.dtype))

    def attended(self, x_BTD: Tensor, mask_B1T: Tensor | None) -> Tensor:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        found = unbind(self.memory(bind(k, v), Ctx()), q)
        score_BHT = F.cosine_similarity(found, v, dim=-1)
        if mask_B1T is not None:
            score_BHT = score_BHT + (1 - mask_B1T) * -1e9
        return self.o(join(score_BHT.softmax(-1)[..., None] * v))


class TanhGELU(Activation):
    """Flax's gelu."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x, approximate="tanh")


class Network(nn.Module):
    """The source's classifier; padding enters the mean."""

    def __init__(self, vocab: int, dim: int, backbone: Stack, classes: int) -> None:
        super().__init__()
        self.table, self.backbone = nn.Embedding(vocab, dim), backbone
        self.inner, self.out = nn.Linear(dim, dim), nn.Linear(dim, classes)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x = self.table(tokens_BT)
        x = x + waves(x.shape[1], x.shape[2]).to(x.dtype)
        y = self.backbone(x, Ctx(mask=tokens_BT > 0))[0].x.mean(1)
        return self.out(F.gelu(self.inner(y), approximate="tanh")).log_softmax(-1)


def waves(length: int, dim: int) -> Tensor:
    """Sines and cosines in turn, rounded to float32 as there."""
    time = torch.arange(length, dtype=torch.float64)[:, None]
    rate = torch.exp(torch.arange(0, dim, 2, dtype=torch.float64) * -(math.log(10_000.0) / dim))
    return torch.stack(((time * rate).sin(), (time * rate).cos()), -1).flatten(1)[:, :dim].float()


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    turned = {
        re.sub(r"(kernel|scale|embedding)$", "weight", k): v.T if k.endswith("kernel") else v
        for k, v in weights.items()
    }
    if source == "SelfAttention":
        return fill(Leaky(arguments["features"], heads=arguments["heads"]), renamed(turned, ATTENTION))
    if source != "Network":
        raise Declined(f"source={source!r}: known are SelfAttention and Network")
    dim = arguments["embed_size"]
    mlp = part(ActivatedMLP, activation=part(TanhGELU), ratio=2, bias=True)
    block = part(PreNorm, parts=(part(Leaky, heads=arguments["heads"]), mlp), norm=part(LayerNorm, eps=1e-6))
    backbone = part(Stack, depth=arguments["n_layer"], blocks=(block,)).build(Place(dim))
    rules = (
        *ATTENTION,
        (r"^Encoder_0\.EmbeddingFixed_0\.Embed_0\.", "table."),
        (r"^Encoder_0\.EncoderLayer_(\d+)\.", r"backbone.blocks.\1."),
        (r"LayerNorm_(\d)\.", r"norms.\1.norm."),
        (r"SelfAttention_0\.", "parts.0."),
        (r"MLP_0\.Dense_0\.", "parts.1.up."),
        (r"MLP_0\.Dense_1\.", "parts.1.down."),
        (r"^Dense_0\.", "inner."),
        (r"^Dense_1\.", "out."),
    )
    made = renamed(turned, rules)
    for name, weight in list(made.items()):
        if name.endswith("parts.1.down.weight"):  # the second map has no bias there
            made.setdefault(name.replace("weight", "bias"), weight.new_zeros(len(weight)))
    return fill(Network(arguments["vocab_size"], dim, backbone, arguments["output_size"]), made)


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, Network):
        return {"log_probs": loaded(inputs["tokens"])}
    mask = inputs.get("mask")
    assert isinstance(loaded, Leaky)
    return {"y": loaded.attended(inputs["inputs"], None if mask is None else mask[..., 0])}
