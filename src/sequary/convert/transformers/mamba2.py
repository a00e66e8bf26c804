"""transformers' `Mamba2ForCausalLM`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.blocks.norms import RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.convert.declined import Declined
from sequary.convert.mamba import MODEL, tapped
from sequary.convert.transformers.read import only
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.ssm.mamba2 import Mamba2

BLOCK: tuple[Rule, ...] = (
    (r"\bin_proj\b", "inner"),
    (r"\bout_proj\b", "out"),
    (r"\bconv1d\b", "conv"),
    (r"(parts\.0\.norm)\.weight", r"\1"),
)


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    only(config, hidden_act="silu")
    low, high = config.get("time_step_limit", (0.0, math.inf))
    if low or high not in (math.inf, {"__float__": "Infinity"}):  # as their JSON writes infinity
        raise Declined(f"time_step_limit={config['time_step_limit']}: only steps without limit are built")
    norm = part(RMSNorm, eps=config["layer_norm_epsilon"])
    mixer = part(
        Mamba2,
        expand=config["expand"],
        heads=config["num_heads"],
        states=config["state_size"],
        groups=config["n_groups"],
        conv=part(ShortConv, taps=config["conv_kernel"], bias=config["use_conv_bias"]),
        bias=config["use_bias"],
        eps=config["layer_norm_epsilon"],
    )
    recipe = language_model(
        dim=config["hidden_size"],
        depth=config["num_hidden_layers"],
        blocks=(part(PreNorm, parts=(mixer,), norm=norm),),
        norm=norm,
        vocab=config["vocab_size"],
    )
    tied = {"lm_head.weight": weights["backbone.embeddings.weight"]}
    return fill(recipe.build(), tapped(renamed({**tied, **weights}, (*MODEL, *BLOCK))))
