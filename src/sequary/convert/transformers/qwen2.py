"""transformers' `Qwen2ForCausalLM`: Llama's blocks, with biases on queries, keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.convert.transformers import llama
from sequary.convert.transformers.read import only
from sequary.core.contracts import Model


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, use_sliding_window=False)
    return llama.load({**config, "sliding_window": None}, weights)
