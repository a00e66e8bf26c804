"""twistedcubic/attention-rank-collapse: its norms, and its BERT encoder restricted to paths.

The source's path recomputes attention from the path's own states and normalises after each layer, so its paths do not sum to
the forward pass; `probe/paths.py` has the expansion of the paper. This module is the source's arithmetic.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.probe.rank_collapse import composite, norm_1, norm_inf, residual

ALL = -1
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "swish": F.silu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "mish": F.mish,
}


@dataclasses.dataclass(frozen=True, slots=True)
class PathEncoder:
    """The source's encoder: `w` its weights by name."""

    w: Mapping[str, Tensor]
    heads: int
    depth: int
    mlp: bool
    eps: float
    skips: bool
    """Whether a path's layer keeps the residual, and with it the norm's weights (`no_sub_path` false)."""
    activation: str

    def full(self, x: Tensor) -> Tensor:
        for layer in range(self.depth):
            x = self.layer(x, layer, ALL, whole=True)
        return x

    def along(self, x: Tensor, path: Sequence[int]) -> list[Tensor]:
        """The states at depth 0, 1, …"""
        states = [x]
        for layer, head in enumerate(path):
            states.append(states[-1] if head == self.heads else self.layer(states[-1], layer, head, whole=False))
        return states

    def layer(self, x: Tensor, layer: int, head: int, *, whole: bool) -> Tensor:
        at = f"layer.{layer}.attention."
        y = self.attention(x, layer, head) + self.w[at + "output.dense_bias"]
        x = self.norm(x + y, at + "output.LayerNorm") if whole or self.skips else self.plain(y)
        if not self.mlp:
            return x
        at = f"layer.{layer}."
        inner = F.linear(x, self.w[at + "intermediate.dense.weight"], self.w[at + "intermediate.dense.bias"])
        inner = ACTIVATIONS[self.activation](inner)
        y = F.linear(inner, self.w[at + "output.dense.weight"], self.w[at + "output.dense.bias"])
        return self.norm(x + y, at + "output.LayerNorm")

    def attention(self, x: Tensor, layer: int, head: int) -> Tensor:
        """The output projection, without its bias, of one head or of all."""
        at = f"layer.{layer}.attention."
        q, k = (F.linear(x, self.w[f"{at}self.{n}.weight"], self.w[f"{at}self.{n}.bias"]) for n in ("query", "key"))
        v = F.linear(x, self.w[at + "self.value"], self.w[at + "self.value_bias"])
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        mixed = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        if head != ALL:
            only = torch.zeros(self.heads, dtype=x.dtype)
            only[head] = 1
            mixed = mixed * only[:, None, None]
        return F.linear(mixed.transpose(1, 2).flatten(2), self.w[at + "output.dense"])

    def norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], self.eps)

    def plain(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], eps=self.eps)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> PathEncoder | None:
    """None where the case is the norms, which have no weights."""
    if not weights:
        return None
    a = arguments
    if a.get("is_decoder") or a.get("add_cross_attention"):
        raise Declined("is_decoder/add_cross_attention=True: the study is of an encoder")
    if a["hidden_act"] not in ACTIVATIONS:
        raise Declined(f"hidden_act={a['hidden_act']!r}: only {', '.join(ACTIVATIONS)}")
    skips = not a.get("no_sub_path", False)
    return PathEncoder(
        weights,
        a["num_attention_heads"],
        a["num_hidden_layers"],
        a["do_mlp"],
        a["layer_norm_eps"],
        skips,
        a["hidden_act"],
    )


def replay(loaded: PathEncoder | None, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if loaded is None:
        return norms(x)
    runs = [loaded.along(x, path) for path in arguments["paths"]]
    sums = [torch.stack(states).sum(0) for states in zip(*runs, strict=True)]
    found = {"full": loaded.full(x), "path_sum": loaded.plain(sums[-1])}
    found |= {f"states{d}": loaded.plain(s) for d, s in enumerate(sums)}
    return found | {f"path{i}": loaded.plain(states[-1]) for i, states in enumerate(runs)}


def norms(x: Tensor) -> dict[str, Tensor]:
    kinds = {"l1": norm_1, "l2": lambda y: y.flatten(1).norm(dim=1), "linf": norm_inf, "l1_x_linf": composite}
    found = {f"{what}_{n}": f(y) for what, y in (("norm", x), ("residual", residual(x))) for n, f in kinds.items()}
    return found | {"functions_composite_norm": norm_1(x) * norm_inf(x)}
