"""AmeenAli/HiddenMambaAttn: `compute_attn_matrix_fn` with `compute_rollout_attention`, and `compute_middle_attn_vector`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.ops.diagonal_scan import scan_matrix
from sequary.probe.hidden_attention import rollout

Loaded = Callable[[Mapping[str, Tensor], Mapping[str, Any]], dict[str, Tensor]]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    if weights:
        raise Declined(f"weights={sorted(weights)}: the source's functions have none")
    if source.startswith("compute_attn_matrix_fn"):
        if arguments.get("dtype", "float16") == "float16":
            raise Declined(
                "dtype='float16': the source stores the matrix in half precision; pass 'float32' or 'float64'"
            )
        return _matrix
    if source == "compute_middle_attn_vector":
        return _middle
    raise Declined(f"source={source!r}: known are compute_attn_matrix_fn and compute_middle_attn_vector")


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return loaded(inputs, arguments)


def _steps(inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """dt [B, T, D]; B, C [B, T, G, N]."""
    dt = F.softplus(inputs["delta"] + inputs["delta_bias"][:, None]).mT
    return dt, inputs["B"].permute(0, 3, 1, 2), inputs["C"].permute(0, 3, 1, 2)


def _matrix(inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    dt, B, C = _steps(inputs)
    alpha = scan_matrix(dt, inputs["A"], B, C)
    stored = alpha.to(getattr(torch, arguments["dtype"]))
    maps = (stored.abs().mean(1), stored.square().mean(1), stored.clamp(min=0).sum(1))
    return {
        "alpha": stored,
        "y": torch.einsum("bdts,bds->bdt", alpha, inputs["u"]),
        "rollout": rollout(maps),
        "rollout_from1": rollout(maps[1:]),
    }


def _middle(inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """The exact row of the class token, and the source's, which decays only up to the step before it and lacks its own entry."""
    dt, B, C = _steps(inputs)
    at = arguments.get("cls_pos", 98)
    row = scan_matrix(dt, inputs["A"], B, C)[:, :, at]
    lagging = C.clone()
    lagging[:, at - 1] = C[:, at]  # the class token reads the state before its own step
    short = scan_matrix(dt, inputs["A"], B, lagging)[:, :, at - 1]
    return {"vector": torch.cat((short[..., :at], torch.zeros_like(short[..., at:])), -1), "alpha_row98": row}
