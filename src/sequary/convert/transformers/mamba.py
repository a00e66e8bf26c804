"""transformers' `MambaForCausalLM`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.convert import mamba
from sequary.core.contracts import Model


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    model = mamba.load("MambaForCausalLM", config, weights)
    assert isinstance(model, Model)
    return model
