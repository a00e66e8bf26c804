"""ziplab/EcoFormer: `EcoformerSelfAttention` with its hash functions as stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.mixers.linear.hashed import Hashed

RULES = ((r"^to_qk\.", "qk."), (r"^to_v\.", "v."), (r"^proj\.", "o."), (r"^fast_attention\.ksh\.", "hash."))
KNOWN = {
    *("dim", "num_heads", "qkv_bias", "qk_scale", "attn_drop", "proj_drop", "nb_features", "generalized_attention"),
    *("kernel_fn", "no_projection", "sr_ratio", "linear", "nbits", "m", "topk"),
}


class Step(torch.autograd.Function):
    """sign(x), 0 at 0; backwards as the identity where |x| < 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad[0] * (x.abs() < 1)


step: Any = Step.apply  # whose stub names no types


class SourceHash(Hashed):
    """As the source has it: σ is the mean squared distance of the row and head at hand, so that tokens hash by what else is there."""

    def codes(self, x_BTHK: Tensor) -> Tensor:
        distance = self.distance(x_BTHK)
        features = (-distance / (2 * distance.mean((1, 3), keepdim=True))).exp() - self.center
        codes: Tensor = step(torch.einsum("bthm,hnm->bthn", features, self.a))
        return codes


class SourceAttention(nn.Module):
    """One map for queries and keys; c = bits + 1 is added to every weight below the fraction, and above it to a token's own value."""

    def __init__(self, dim: int, *, heads: int, bits: int, anchors: int, bias: bool) -> None:
        super().__init__()
        self.heads, self.bits = heads, bits
        self.qk, self.v = nn.Linear(dim, dim, bias=bias), nn.Linear(dim, dim, bias=bias)
        self.o = nn.Linear(dim, dim)
        self.hash = SourceHash(dim // heads, heads=heads, bits=bits, anchors=anchors)

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        qk, v = (rearrange(f(x_BTD), "b t (h k) -> b t h k", h=self.heads) for f in (self.qk, self.v))
        codes, shift = self.hash.codes(qk), self.bits + 1
        total = torch.einsum("bthn,bhn->bth", codes, codes.sum(1)) + x_BTD.shape[1] * shift
        sums = torch.einsum("bthn,bhnv->bthv", codes, torch.einsum("bshn,bshv->bhnv", codes, v)) + shift * v
        return self.o((sums / total[..., None]).flatten(2)), codes.transpose(1, 2)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> SourceAttention:
    if source != "EcoformerSelfAttention":
        raise Declined(f"source={source!r}: known is EcoformerSelfAttention")
    for name in arguments.keys() - KNOWN:
        raise Declined(f"{name}={arguments[name]!r}: the source has no such argument")
    made = SourceAttention(
        arguments["dim"],
        heads=arguments.get("num_heads", 8),
        bits=weights["fast_attention.ksh.A"].shape[1],
        anchors=weights["fast_attention.ksh.A"].shape[2],
        bias=arguments.get("qkv_bias", False),
    )
    ours = renamed(weights, RULES, drop="projection_matrix")
    stored = {"a": ours.pop("hash.A"), "anchor": ours.pop("hash.anchor")[0], "center": ours.pop("hash.mvec")[0, :, 0]}
    kept = {f"hash.{n}": getattr(made.hash, n) for n in ("spread", "passes")}  # not used by the source
    return fill(made, ours | kept | {f"hash.{n}": t for n, t in stored.items()})


def replay(loaded: SourceAttention, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    y, codes = loaded(inputs["x"])
    return {"y": y, "codes": codes}
