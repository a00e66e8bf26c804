"""transformers' `NemotronForCausalLM`: squared ReLU, layer norms that scale by 1 + weight, positions in a part of each head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.transformers import llama, stablelm
from sequary.convert.transformers.read import only
from sequary.convert.weights import fill
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import SquaredReLU


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, hidden_act="relu2")
    norm = part(LayerNorm, eps=config["norm_eps"])
    mlp = part(
        ActivatedMLP,
        activation=part(SquaredReLU),
        hidden=config["intermediate_size"],
        bias=config.get("mlp_bias", False),
    )
    block = part(PreNorm, parts=(stablelm.attention(config, weights, 0.5), mlp), norm=norm)
    made = stablelm.taken(config, weights, 0.5)
    made |= {name: 1 + weight for name, weight in made.items() if name.endswith(".norm.weight")}
    return fill(llama.decoder(config, (block,), norm), made)
