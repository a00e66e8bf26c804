"""`attention_as_rnn`, a transcription of the paper by another hand: heads averaged instead of joined, scores unscaled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.ctx import Ctx
from sequary.mixers.attention.prefix import PrefixHeads, PrefixState

Activation = Callable[[Tensor], Tensor]


class Averaged(nn.Module):
    """y_t = W mean_h o_{t,h} + b, o as `PrefixHeads` reads it from activated keys and values."""

    def __init__(self, dim: int, *, heads: int, width: int, out: int, activation: Activation) -> None:
        super().__init__()
        self.heads = PrefixHeads(dim, heads=heads, width=width)
        self.out = nn.Linear(width, out)
        self.activation = activation

    def forward(self, x_BTD: Tensor) -> Tensor:
        h = self.heads
        begin = PrefixState.empty(len(x_BTD), h.heads, h.width, h.q)
        o_BTHV, _ = h.read(self.activation(h.k(x_BTD)), self.activation(h.v(x_BTD)), begin, Ctx())
        return self.out(o_BTHV.mean(2))


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Averaged:
    """`arguments`: heads, dim, dim_inner, dim_out, activation (a function of torch.nn.functional by name, or none)."""
    if source != "attention_as_rnn":
        raise Declined(f"source={source!r}: known is attention_as_rnn")
    width = arguments["dim_inner"]
    module = Averaged(
        arguments["dim"],
        heads=arguments["heads"],
        width=width,
        out=arguments["dim_out"],
        activation=_activation(arguments.get("activation", "none")),
    )
    key, value = weights["kv_kernel"].flatten(1, 2).unbind(-1)
    return fill(
        module,
        {
            "heads.q": weights["q_kernel"] * math.sqrt(width),
            "heads.k.weight": key.T,
            "heads.v.weight": value.T,
            "out.weight": weights["to_out.weight"],
            "out.bias": weights["to_out.bias"],
        },
    )


def _activation(name: str) -> Activation:
    if name == "none":
        return lambda x: x
    found = getattr(F, name, None)
    if not callable(found):
        raise Declined(f"activation={name!r}: torch.nn.functional has no such function")
    return cast(Activation, found)


def replay(loaded: Averaged, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return {"y": loaded(inputs["x"])}
