"""pytorch-forecasting's gated residual networks, attention and variable selections as our parts, and their weights' names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from sequary.condition.selection import VariableSelection
from sequary.convert.weights import Rule
from sequary.core.part import Part, part
from sequary.mixers.attention.shared_value import SharedValueAttention
from sequary.mixers.mlp.gated_residual import GRN, ResampledSkip

Weights = Mapping[str, Tensor]
PARTS = (
    (r"(^|\.)fc1\.", r"\1up."),
    (r"(^|\.)fc2\.", r"\1further."),
    (r"(^|\.)gate_norm\.glu\.fc", r"\1gate.map"),
    (r"(^|\.)gate_norm\.add_norm\.norm", r"\1gate.norm"),
    (r"(^|\.)resample_norm\.", r"\1skip."),
    (r"(^|\.)flattened_grn\.", r"\1joint."),
    (r"(^|\.)v_layer\.", r"\1v."),
    (r"(^|\.)w_h\.", r"\1o."),
)


def grn_part(weights: Weights, prefix: str) -> Part[GRN]:
    return part(GRN, hidden=len(weights[f"{prefix}fc1.bias"]), skip=part(ResampledSkip))


def attention_part(heads: int, dim: int) -> Part[SharedValueAttention]:
    return part(SharedValueAttention, heads=heads, width=dim // heads)


def selection_part(weights: Weights, prefix: str, names: list[str]) -> Part[VariableSelection]:
    """Categories are resampled alone, unless single variables' networks are shared between look-back and horizon."""
    made: list[Part[GRN] | Part[ResampledSkip]] = []
    for name in names:
        own = f"{prefix}single_variable_grns.{name}."
        made.append(grn_part(weights, own) if f"{own}fc1.bias" in weights else part(ResampledSkip))
    joint = grn_part(weights, f"{prefix}flattened_grn.") if len(names) > 1 else part(GRN)
    return part(VariableSelection, joint=joint, each=tuple(made) or (part(GRN),))


def each(prefix: str, names: list[str]) -> list[Rule]:
    theirs = re.escape(f"{prefix}single_variable_grns.")
    return [(rf"^{theirs}{re.escape(name)}\.", f"{prefix}each.{i}.") for i, name in enumerate(names)]


def joined(weights: Weights) -> dict[str, Tensor]:
    """The maps of single heads, one under another."""
    found = {k: v for k, v in weights.items() if "_layers." not in k}
    for stem in sorted({k.split("_layers.")[0] for k in weights if "_layers." in k}):
        heads = sum(k.startswith(f"{stem}_layers.") and k.endswith(".weight") for k in weights)
        for leaf in ("weight", "bias"):
            found[f"{stem}.{leaf}"] = torch.cat([weights[f"{stem}_layers.{h}.{leaf}"] for h in range(heads)])
    return found
