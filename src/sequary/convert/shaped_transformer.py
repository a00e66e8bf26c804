"""bobby-he/simplified_transformers: `myGPT2Block`, whose shaped attention stands in for the authors' own code.

Its logits are scaled by 1/√K, which is a temperature of 1/√dim here; whatever its linear maps add to an identity is folded into one matrix;
its 1 / (t + 1) are rounded to float32, in models of float64 too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.mixers.attention.shaped import CausalShapedAttention

LIMIT = 30.0
"""Of products, where a `dot_norm_type` is given."""
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "swish": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "mish": F.mish,
    "relu6": F.relu6,
    "linear": torch.nn.Identity(),
}


class Attention(nn.Module):
    """Ours, with the source's rounded means, and what it may do to queries, keys and their products."""

    def __init__(self, arguments: Mapping[str, Any], weights: Mapping[str, Tensor], inner: CausalShapedAttention):
        super().__init__()
        self.arguments, self.w, self.inner = arguments, weights, inner

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.inner.qkv(x, None, self.inner.heads)
        if self.arguments.get("qk_norm_type", "none") == "rmsnorm":
            eps = self.arguments["layer_norm_epsilon"]
            q, k = (rms(y, self.w[f"attn.{name}_norm.scale"], eps) for y, name in ((q, "q"), (k, "k")))
        scores = q @ k.mT * self.inner.scale
        if self.arguments.get("dot_norm_type", "none") != "none":  # in float32, in models of float64 too
            scores = LIMIT * (scores.float() / LIMIT).tanh()
        past = torch.ones(x.shape[1], x.shape[1]).tril()
        mean = scores.masked_fill(past == 0, torch.finfo(scores.dtype).min).softmax(-1).to(v.dtype) @ v
        share = past / torch.arange(1, x.shape[1] + 1)[:, None]
        return self.inner.mixed(mean, v, share.to(v.dtype) @ v)


class Block(nn.Module):
    """What the source does with gains g and s: x ← g · attention + s · x, then g · mlp + s · x; or both on the same input."""

    def __init__(self, arguments: Mapping[str, Any], weights: Mapping[str, Tensor], attention: Attention):
        super().__init__()
        self.arguments, self.w, self.attn = arguments, weights, attention

    def forward(self, x: Tensor) -> Tensor:
        post, pre = (self.arguments["norm_position"] == where for where in ("post", "pre"))
        skip = self.norm(x, 1) if post else x
        read = self.norm(skip, 1) if pre else skip
        gained = self.w["attn_block_resid_gain"] * self.attn(read)
        if self.arguments["parallel_layers"]:
            return self.added(gained + self.w["mlp_block_resid_gain"] * self.mlp(read), skip, "mlp")
        x = self.added(gained, skip, "attn")
        skip = self.norm(x, 2) if post else x
        read = self.norm(skip, 2) if pre else skip
        return self.added(self.w["mlp_block_resid_gain"] * self.mlp(read), skip, "mlp")

    def added(self, x: Tensor, skip: Tensor, branch: str) -> Tensor:
        """A skip whose gain starts at 0 is not there, whatever the gain became."""
        name = f"{branch}_block_skip_gain"
        return x if self.arguments[name] == 0 else x + self.w[name] * skip

    def mlp(self, x: Tensor) -> Tensor:
        hidden = activation(self.arguments)(_linear(x, self.w, "mlp.c_fc"))
        return _linear(hidden, self.w, "mlp.c_proj")

    def norm(self, x: Tensor, number: int) -> Tensor:
        """Layer norm or RMS norm; without norms only the first layer's first is one."""
        eps, name = self.arguments["layer_norm_epsilon"], f"ln_{number}"
        if f"{name}.scale" in self.w:
            return rms(x, self.w[f"{name}.scale"], eps)
        if f"{name}.weight" in self.w:
            return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], eps)
        return x


def rms(x: Tensor, scale: Tensor, eps: float) -> Tensor:
    """With eps outside the root."""
    return scale * x / (x.square().mean(-1, keepdim=True).sqrt() + eps)


def activation(arguments: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    name = arguments["activation_function"]
    if name == "leaky_relu":
        return partial(F.leaky_relu, negative_slope=arguments["lrelu_neg_slope"])
    if name not in ACTIVATIONS:
        raise Declined(f"activation_function={name!r}: known are leaky_relu, {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _linear(x: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Block:
    named = re.fullmatch(r"myGPT2Block(?: \(layer_idx (\d+)\))?", source)
    if named is None:
        raise Declined(f"source={source!r}: known is myGPT2Block")
    activation(arguments)
    return Block(arguments, weights, _attention(arguments, weights, int(named[1] or 0))).eval()


def _attention(a: Mapping[str, Any], weights: Mapping[str, Tensor], layer: int) -> Attention:
    dim, heads = a["hidden_size"], a["num_attention_heads"]
    temperature = 1 / math.sqrt(dim if a["scale_attn_weights"] else dim * (dim // heads))
    if a["scale_attn_by_inverse_layer_idx"]:
        temperature *= layer + 1
    attention = CausalShapedAttention(dim, heads=heads, temperature=temperature, bias=True)
    q, k = weights["attn.qk_attn.weight"].mT.chunk(2)
    ours = {"qkv.q.weight": q, "qkv.k.weight": k}
    ours["qkv.q.bias"], ours["qkv.k.bias"] = weights["attn.qk_attn.bias"].chunk(2)
    for name, kind, theirs in (("qkv.v", "val", "v_attn"), ("o", "proj", "c_proj")):
        ours[f"{name}.weight"], ours[f"{name}.bias"] = _map(a, weights, kind, theirs)
    gains = {"softmax": "attn_mat_resid", "identity": "attn_mat_skip", "centre": "centre_attn"}
    ours |= {name: weights[f"attn.{theirs}_gain"].flatten() for name, theirs in gains.items()}
    if not a["centre_attn"]:
        ours |= {name: torch.zeros_like(ours["softmax"]) for name in ("identity", "centre")}
    return Attention(a, weights, fill(attention, ours))


def _map(a: Mapping[str, Any], weights: Mapping[str, Tensor], kind: str, name: str) -> tuple[Tensor, Tensor]:
    """(weight, bias) of values or of the output: resid · W + skip · I, W alone, or I where the source has no weights."""
    like, own = weights["attn.qk_attn.weight"], f"attn.{name}"
    one = torch.eye(a["hidden_size"], dtype=like.dtype)
    if f"{own}.weight" not in weights:
        return one, like.new_zeros(a["hidden_size"])
    weight = weights[f"{own}.weight"].mT
    if f"{own}.skip_gain" in weights:
        if a[f"{kind}_init_type"] != "id":
            raise Declined(
                f"{kind}_init_type={a[f'{kind}_init_type']!r}: with a skip it is a random matrix that the state does not hold"
            )
        weight = weights[f"{own}.resid_gain"] * weight + weights[f"{own}.skip_gain"] * one
    return weight, weights[f"{own}.bias"]


def replay(loaded: Block, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return {"attn": loaded.attn(inputs["x"]), "y": loaded(inputs["x"])}
