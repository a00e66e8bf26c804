"""transformers: `Gemma3nTextMLP`, whose gate is cut by statistical top-k over its full projection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.ops.statistical_topk import soft_top_k

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "silu": F.silu,
    "relu": F.relu,
}


class TopKGate(nn.Module):
    """y = W_down (f(topk(W_gate x)) ⊙ W_up x): no split of the features, so that the scores cost a full projection."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        dim, hidden = arguments["hidden_size"], arguments["intermediate_size"]
        self.gate_proj, self.up_proj = nn.Linear(dim, hidden, bias=False), nn.Linear(dim, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, dim, bias=False)
        self.activation = ACTIVATIONS[arguments.get("hidden_activation", "gelu_pytorch_tanh")]
        sparsity = float(arguments.get("activation_sparsity", 0.0))
        # In float32, as the source takes it, whatever the weights are in.
        quantile = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(sparsity, dtype=torch.float32))
        self.quantile = float(quantile) if sparsity > 0 else None

    def scores(self, x_BTD: Tensor) -> Tensor:
        gate = self.gate_proj(x_BTD)
        return gate if self.quantile is None else soft_top_k(gate, self.quantile)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down_proj(self.activation(self.scores(x_BTD)) * self.up_proj(x_BTD))


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> TopKGate:
    if source != "Gemma3nTextMLP":
        raise Declined(f"source={source!r}: known is Gemma3nTextMLP")
    name = arguments.get("hidden_activation", "gelu_pytorch_tanh")
    if name not in ACTIVATIONS:
        raise Declined(f"hidden_activation={name!r}: known are {', '.join(ACTIVATIONS)}")
    return fill(TopKGate(arguments), weights)


def replay(loaded: TopKGate, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return {"topk": loaded.scores(inputs["x"]), "y": loaded(inputs["x"])}
