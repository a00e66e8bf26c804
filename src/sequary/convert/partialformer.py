"""zhengkid/PartialFormer: `DecoderChannelBasedPartialFormerBlcok` of the decoder, in eval mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.part import Part, part
from sequary.mixers.attention.partial import PartialAttention
from sequary.mixers.attention.projection import join, split
from sequary.mixers.attention.score_heads import MixedScores, OwnScores, PairedScores, ScoreHeads
from sequary.mixers.mlp.activations import GELU, Activation, ReLU, SiLU

RULES = (
    (r"^(q|k|v|u)_proj\.", r"\1."),
    (r"^out_proj\.", "o."),
    (r"^ff1\.", "up."),
    (r"^ff2\.", "down."),
    (r"^(?:hdp|m2m)_net\.0\.", "scores.mix.first."),
    (r"^(?:hdp|m2m)_net\.2\.", "scores.mix.second."),
)


class Tanh(Activation):
    def forward(self, x: Tensor) -> Tensor:
        return x.tanh()


class Linear(Activation):
    def forward(self, x: Tensor) -> Tensor:
        return x


ACTIVATIONS: Mapping[str, Part[Activation]] = {
    "relu": part(ReLU),
    "gelu": part(GELU),
    "swish": part(SiLU),
    "tanh": part(Tanh),
    "linear": part(Linear),
}


class Block(PartialAttention):
    """Two options of the code: features dealt out to the heads in turn, before and after the feed-forward; a group norm at the end."""

    shuffles = False
    groups: nn.GroupNorm | None = None

    def project(self, x_BtD: Tensor, at_Bt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x_BtD, at_Bt)
        return (dealt(q), dealt(k), dealt(v)) if self.shuffles else (q, k, v)

    def fed(self, a_BHTK: Tensor) -> Tensor:
        if not self.shuffles:
            return super().fed(a_BHTK)
        return join(dealt(split(super().fed(dealt(a_BHTK)), self.heads)))

    def out(self, weights_BHTS: Tensor, v_BHSK: Tensor, x_BTD: Tensor) -> Tensor:
        if self.groups is None:
            return super().out(weights_BHTS, v_BHSK, x_BTD)
        gated = self.fed(weights_BHTS @ v_BHSK) * self.u(x_BTD).relu()
        return self.o(self.groups(gated.flatten(0, 1)).view_as(gated))


def dealt(x_BHTK: Tensor) -> Tensor:
    """Feature k of head h of H takes place k · H + h, and the features are cut into heads anew."""
    return split(join(x_BHTK).unflatten(-1, x_BHTK.shape[1::2]).mT.flatten(2), x_BHTK.shape[1])


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Block:
    """`high_order` and the dropouts are not read in eval mode, nor `encoder_only`'s other branch, which is use_hdp=m2m=False."""
    if source != "DecoderChannelBasedPartialFormerBlcok":
        raise Declined(f"source={source!r}: known is DecoderChannelBasedPartialFormerBlcok")
    name = arguments.get("activation_fn", "relu")
    if name not in ACTIVATIONS:
        raise Declined(f"activation_fn={name!r}: known are {', '.join(ACTIVATIONS)}")
    dim, heads = arguments["embed_dim"], arguments["num_heads"]
    alone = arguments.get("encoder_only", False)
    block = Block(
        dim,
        heads=heads if alone else arguments["expand_heads"],
        width=dim // heads,
        ratio=arguments["decoder_hidden_ratio"],
        scores=part(OwnScores) if alone else _scores(arguments),
        activation=ACTIVATIONS[name],
        base=None,
    )
    block.shuffles = arguments.get("channel_shuffel", False)
    ours = renamed(weights, ((r"^gln\.", "groups."), *RULES))
    if arguments.get("add_group_ln", False):
        block.groups = nn.GroupNorm(heads, block.heads * block.width)
    return fill(block, ours)


def _scores(arguments: Mapping[str, Any]) -> Part[ScoreHeads]:
    if arguments.get("m2m", False):
        return part(PairedScores, count=arguments["global_heads"])
    if arguments.get("use_hdp", False):
        return part(MixedScores, count=arguments["num_heads"])
    return part(OwnScores)


def replay(loaded: Block, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """x [S, B, D] time first. `key_padding`: the last two keys of the last sequence, in the call without the causal mask."""
    x = inputs["x"].transpose(0, 1)
    batch, length, _ = x.shape
    q, k, v = loaded.project(x, torch.zeros(batch, length, dtype=torch.long))
    own = loaded.scores(q, k)
    causal = loaded.weights(own, torch.ones(batch, length, length, dtype=torch.bool).tril())
    found = {"y": loaded.out(causal, v, x).transpose(0, 1), "weights": causal.transpose(0, 1)}
    if "attn_before" in inputs:
        real = torch.ones(batch, length, length, dtype=torch.bool)
        real[-1, :, -2:] = False
        added = own + inputs["attn_before"].unflatten(0, (batch, loaded.heads))
        found["y_residual_logits"] = loaded.out(loaded.weights(added, real), v, x).transpose(0, 1)
    return found
