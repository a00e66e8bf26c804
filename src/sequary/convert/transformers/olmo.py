"""transformers' `OlmoForCausalLM`: Llama's blocks behind layer norms without weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.blocks.norms import LayerNorm
from sequary.convert.transformers import llama
from sequary.convert.transformers.read import only
from sequary.core.contracts import Model
from sequary.core.part import part


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, clip_qkv=None)
    return llama.built(config, weights, part(LayerNorm, eps=1e-5, affine=False))
