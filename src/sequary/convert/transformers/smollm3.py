"""transformers' `SmolLM3ForCausalLM`: Llama's blocks, some of which have no positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.blocks.norms import RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.transformers import llama
from sequary.convert.transformers.read import only
from sequary.convert.weights import fill
from sequary.core.contracts import Model
from sequary.core.part import part


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, use_sliding_window=False)
    norm = part(RMSNorm, eps=config["rms_norm_eps"])
    turned = llama.attention({**config, "sliding_window": None}, weights)
    blocks = tuple(
        part(PreNorm, parts=(turned if rotary else turned.but(base=None), llama.swiglu(config)), norm=norm)
        for rotary in config["no_rope_layers"]
    )
    return fill(llama.decoder(config, blocks, norm), llama.taken(config, weights))
