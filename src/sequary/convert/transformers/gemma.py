"""transformers' `GemmaForCausalLM`: heads of their own width, GELU in the gate, norms that scale by 1 + weight, scaled embeddings."""

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
from sequary.mixers.mlp.geglu import GEGLU


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, hidden_act="gelu_pytorch_tanh", use_bidirectional_attention=None)
    norm = part(RMSNorm, eps=config["rms_norm_eps"])
    mlp = part(GEGLU, hidden=config["intermediate_size"])
    block = part(PreNorm, parts=(llama.attention(config, weights), mlp), norm=norm)
    made = llama.taken(config, weights)
    made |= {name: 1 + weight for name, weight in made.items() if ".norm." in name}
    made["tokens.table.weight"] = made["tokens.table.weight"] * config["hidden_size"] ** 0.5
    return fill(llama.decoder(config, (block,), norm), made)
