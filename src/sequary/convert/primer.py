"""labml-nn: `MultiDConvHeadAttention` and `SquaredReLU`; x-transformers: a `Decoder` with squared ReLU in its feed-forwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.place import Place
from sequary.mixers.attention.multi_dconv import MultiDConvAttention
from sequary.mixers.attention.projection import join
from sequary.mixers.attention.rated import RatedAttention
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import GELU, SquaredReLU
from sequary.ops.attend import attend

LABML = ((r"^(query|key|value)\.0\.linear\.", lambda m: f"qkv.{m[1][0]}."), (r"^output\.", "o."))
DECODER = (
    (r"^layers\.(\d+)\.1\.to_out\.", r"\1.o."),
    (r"^layers\.(\d+)\.1\.to_(q|k|v)\.", r"\1.qkv.\2."),
    (r"^layers\.(\d+)\.1\.ff\.0\.0\.", r"\1.up."),
    (r"^layers\.(\d+)\.1\.ff\.2\.", r"\1.down."),
    (r"^layers\.(\d+)\.0\.0\.gamma$", r"\1.norm"),
)
OPTIONS = {"dim", "depth", "heads", "attn_dim_head", "ff_relu_squared", "ff_mult", "attn_dropout", "ff_dropout"}


class Float32Softmax(RatedAttention):
    """x-transformers takes the softmax in float32, whatever the weights are in."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        scores = q @ k.transpose(-1, -2) * self.width**-0.5
        later = torch.ones_like(scores, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
        return self.o(join(scores.softmax(-1, dtype=torch.float32).to(v.dtype) @ v))


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    if source == "SquaredReLU":
        return SquaredReLU(1)
    if source == "MultiDConvHeadAttention":
        mixer = MultiDConvAttention(arguments["d_model"], heads=arguments["heads"], base=None, bias=True)
        kernels = {
            f"conv.{leaf}": torch.cat(
                [
                    weights[f"{n}.1.conv.{leaf}"].repeat(arguments["heads"], *(1,) * dims)
                    for n in ("query", "key", "value")
                ]
            )
            for leaf, dims in (("weight", 2), ("bias", 0))
        }
        kernels["conv.weight"] = kernels["conv.weight"].squeeze(1)
        return fill(mixer, renamed(weights, LABML, drop=r"\.1\.conv\.") | kernels)
    if source != "Decoder":
        raise Declined(f"source={source!r}: known are MultiDConvHeadAttention, SquaredReLU and Decoder")
    for name in arguments.keys() - OPTIONS:
        raise Declined(f"{name}={arguments[name]!r}: an option of x-transformers that is not Primer's")
    return fill(_decoder(arguments), _blocks(weights))


def _decoder(arguments: Mapping[str, Any]) -> Stack:
    attention = part(Float32Softmax, heads=arguments.get("heads", 8), width=arguments.get("attn_dim_head", 64))
    activation = part(SquaredReLU) if arguments.get("ff_relu_squared", False) else part(GELU)
    mlp = part(ActivatedMLP, activation=activation, ratio=arguments.get("ff_mult", 4), bias=True)
    norm = part(LayerNorm)
    block = part(PreNorm, parts=(attention, mlp), norm=norm)
    return part(Stack, depth=arguments["depth"], blocks=(block,), norm=norm).build(Place(arguments["dim"]))


def _blocks(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their layers 2l and 2l + 1 are the two branches of block l; a norm has no bias, and stores its weight less 1."""
    norms = {"norm.norm.weight": 1 + weights["final_norm.gamma"]}
    ours: dict[str, Tensor] = {}
    for name, value in renamed(weights, DECODER, drop="^final_norm").items():
        layer, rest = name.split(".", 1)
        block, branch = divmod(int(layer), 2)
        if rest == "norm":
            norms[f"blocks.{block}.norms.{branch}.norm.weight"] = 1 + value
        else:
            ours[f"blocks.{block}.parts.{branch}.{rest}"] = value
    return ours | norms | {n.replace("weight", "bias"): torch.zeros_like(w) for n, w in norms.items()}


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if isinstance(loaded, Stack):
        return {"y": loaded(x)[0].x}
    if not isinstance(loaded, MultiDConvAttention):
        return {"y": loaded(x)}
    x_BTD = x.transpose(0, 1)
    q, k, v, _ = loaded.convolved(x_BTD, loaded.conv.init_state(x_BTD.shape[0]), Ctx())
    full = loaded.o(join(attend(q, k, v)))
    return {"y": loaded(x_BTD).transpose(0, 1), "y_full": full.transpose(0, 1)}
