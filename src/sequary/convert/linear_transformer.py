"""idiap/fast-transformers: the attentions on queries, keys and values, and the encoders that `TransformerEncoderBuilder` makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.place import Place
from sequary.mixers.linear.feature_maps import EluPlusOne
from sequary.mixers.linear.kernel import CausalKernelAttention, KernelAttention, KernelState
from sequary.mixers.mlp.dense import MLP
from sequary.ops.kernel_attend import kernel_sums, mean, with_ones

FULL, CAUSAL = "LinearAttention", "CausalLinearAttention and RecurrentLinearAttention"
ENCODERS = ("TransformerEncoder (TransformerEncoderBuilder)", "TransformerEncoder")
MIXERS = {"linear": KernelAttention, "causal-linear": CausalKernelAttention}
RULES = (
    (r"^layers\.(\d+)\.attention\.(query|key|value|out)_projection", lambda m: f"blocks.{m[1]}.parts.0.{SHORT[m[2]]}"),
    (r"^layers\.(\d+)\.linear1", r"blocks.\1.parts.1.up"),
    (r"^layers\.(\d+)\.linear2", r"blocks.\1.parts.1.down"),
    (r"^layers\.(\d+)\.norm(\d)\.", lambda m: f"blocks.{m[1]}.norms.{int(m[2]) - 1}.norm."),
    (r"^norm\.", "norm.norm."),
)
SHORT = {"query": "q", "key": "k", "value": "v", "out": "o"}


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module | str:
    """A module, or the name of an attention without weights. Dropouts do not act in eval mode."""
    if source in (FULL, *CAUSAL.split(" and "), CAUSAL):
        return source
    if source not in ENCODERS:
        raise Declined(f"source={source!r}: known are {FULL}, {CAUSAL}, {ENCODERS[0]}")
    kind = arguments["attention_type"]
    if kind not in MIXERS:
        raise Declined(f"attention_type={kind!r}: not this paper's; known are {', '.join(MIXERS)}")
    heads, key = arguments.get("n_heads", 4), arguments.get("query_dimensions", 64)
    dim = heads * arguments.get("value_dimensions", 64)
    mixer = part(MIXERS[kind], heads=heads, key=key, bias=True, eps=arguments.get("eps", 1e-6))
    hidden, activation = arguments.get("feed_forward_dimensions", 1024), arguments.get("activation", "relu")
    block = part(PostNorm, parts=(mixer, part(MLP, hidden=hidden, activation=activation)))
    norm = part(LayerNorm) if arguments.get("final_normalization", True) else None
    made = part(Stack, depth=arguments.get("n_layers", 4), blocks=(block,), norm=norm).build(Place(dim))
    return fill(made, renamed(weights, RULES))


def replay(loaded: nn.Module | str, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, nn.Module):
        mask = lengths(inputs["lengths"], inputs["x"].shape[1]) if "lengths" in inputs else None
        return {"y": loaded(inputs["x"], Ctx(mask=mask))[-1].x}
    q, k, v = (inputs[n] for n in ("queries", "keys", "values"))
    feature, eps = EluPlusOne(q.shape[-1]), arguments.get("eps", 1e-6)
    q, k, v = feature.queries(q), feature.keys(k), with_ones(v)
    mask = lengths(inputs["key_lengths"], k.shape[1]) if "key_lengths" in inputs else None
    if loaded == FULL:
        return {"y": mean(kernel_sums(q, k, v, mask=mask), eps)}
    first = KernelState.empty(len(q), q.shape[2], q.shape[3], v.shape[3], q)
    sums, last = first.add(q, k, v, Ctx(mask=mask))
    steps, state = list[Tensor](), first
    for t in range(q.shape[1]):
        each, state = state.add(q[:, t : t + 1], k[:, t : t + 1], v[:, t : t + 1], Ctx())
        steps.append(each)
    final = {"final_S": last.memory[..., :-1], "final_Z": last.memory[..., -1]}
    return {"y": mean(sums, eps), "y_recurrent": mean(torch.cat(steps, 1), eps), **final}


def lengths(real_B: Tensor, length: int) -> Tensor:
    """[B, T] bool: the first of each row."""
    return torch.arange(length, device=real_B.device) < real_B[:, None]
