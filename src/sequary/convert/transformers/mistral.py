"""transformers' `MistralForCausalLM`: Llama's blocks, where `sliding_window` says so over a window of the past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.convert.transformers import llama
from sequary.core.contracts import Model


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    return llama.load(config, weights)
