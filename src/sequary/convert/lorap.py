"""lihuang258/LoRAP: `WrappedGPT, decopose` (statistics and factors of one layer) and `prune_mlp`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.edit.lorap import SMALLEST, channel_scores, kept_channels
from sequary.ops.lowrank import by_outputs, truncated, weighted


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights themselves: the source's functions act on one layer."""
    if not ({"weight"} == weights.keys() or "gate_proj.weight" in weights):
        raise Declined(f"source={source!r}: neither one linear layer nor a gated feed-forward")
    return dict(weights)


def replay(loaded: dict[str, Tensor], inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if "weight" in loaded:
        return _factors(loaded["weight"], inputs["x"], arguments["saved_rank"])
    return _channels(loaded, inputs["x"], arguments["sparsity_ratio"], arguments["mlp_least_save_ratio"])


def _row(x_BLD: Tensor) -> Tensor:
    """The source's statistic: mean over samples of each feature's squared norm over tokens."""
    return x_BLD.square().sum(1).mean(0)


def _factors(w: Tensor, x: Tensor, rank: int) -> dict[str, Tensor]:
    row, y = _row(x), x @ w.T
    mean, second = y.mean((0, 1)), torch.einsum("blo,blp->op", y, y) / (y.shape[0] * y.shape[1])
    left, right = weighted(w, row.sqrt().masked_fill(row == 0, SMALLEST), rank)
    plain, covariance = truncated(w, rank), by_outputs(w, second - mean[:, None] * mean, rank)
    return {
        "scaler_row": row,
        "out_mean": mean,
        "out_matrix": second,
        "AWSVD_product": left @ right,
        "AWSVD_abs_L": left.abs(),
        "AWSVD_abs_R": right.abs(),
        "SVD_product": plain[0] @ plain[1],
        "AFM_product": covariance[0] @ covariance[1],
    }


def _channels(w: Mapping[str, Tensor], x: Tensor, drop: float, least: float) -> dict[str, Tensor]:
    gate, up, down = (w[f"{n}_proj.weight"] for n in ("gate", "up", "down"))
    hidden = F.silu(x @ gate.T) * (x @ up.T)
    scores = channel_scores(gate, up, down, _row(x).sqrt(), _row(hidden).sqrt())
    keep = kept_channels(scores, drop, least)
    return {"score": scores, "gate": gate[keep], "up": up[keep], "down": down[:, keep]}
