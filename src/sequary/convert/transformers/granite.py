"""transformers' `GraniteForCausalLM`: Llama's blocks, whose embeddings, scores, branches and logits are scaled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.convert.transformers import llama
from sequary.core.contracts import Model


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    """The factors go into the maps beside them."""
    branch = config["residual_multiplier"]
    factors = {
        "q_proj": config["attention_multiplier"] * math.sqrt(llama.head_width(config)),
        "o_proj": branch,
        "down_proj": branch,
        "embed_tokens": config["embedding_multiplier"],
        "lm_head": 1 / config["logits_scaling"],
    }
    weights = {"lm_head.weight": weights["model.embed_tokens.weight"], **weights}
    return llama.load(config, {name: w * factors.get(name.split(".")[-2], 1) for name, w in weights.items()})
