"""lihuang258/LoRAP: `WrappedGPT, decopose` (statistics and factors of one layer) and `prune_mlp`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.edit.lorap import SMALLEST, channel_scores, kept_channels
from sequary.ops.lowrank import by_outputs, linalg, truncated, weighted


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights themselves: the source's functions act on one layer."""
    gated = {f"{n}_proj.weight" for n in ("gate", "up", "down")}
    if weights.keys() not in ({"weight"}, {"weight", "bias"}, gated):
        raise Declined(f"source={source!r}: neither one linear layer nor a gated feed-forward without biases")
    return dict(weights)


def replay(loaded: dict[str, Tensor], inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"] if inputs["x"].dim() == 3 else inputs["x"][None]
    if "weight" not in loaded:
        return _channels(loaded, x, arguments["sparsity_ratio"], arguments["mlp_least_save_ratio"])
    found = _statistics(loaded["weight"], loaded.get("bias"), x)
    return found | _factors(loaded["weight"], found, arguments["saved_rank"]) if "saved_rank" in arguments else found


def _row(x_BLD: Tensor) -> Tensor:
    """The source's statistic: mean over samples of each feature's squared norm over tokens."""
    return x_BLD.square().sum(1).mean(0)


def _statistics(w: Tensor, bias: Tensor | None, x: Tensor) -> dict[str, Tensor]:
    """Of one layer's inputs and outputs."""
    y = F.linear(x, w, bias).flatten(0, 1)
    return {"scaler_row": _row(x), "out_mean": y.mean(0), "out_matrix": y.T @ y / len(y)}


def _factors(w: Tensor, seen: Mapping[str, Tensor], rank: int) -> dict[str, Tensor]:
    row, mean, second = seen["scaler_row"], seen["out_mean"], seen["out_matrix"]
    left, right = weighted(w, row.sqrt().masked_fill(row == 0, SMALLEST), rank)
    covariance = second - mean[:, None] * mean
    _check_determined(w, covariance, rank)
    plain, outputs = truncated(w, rank), by_outputs(w, covariance, rank)
    return {
        "AWSVD_product": left @ right,
        "AWSVD_abs_L": left.abs(),
        "AWSVD_abs_R": right.abs(),
        "SVD_product": plain[0] @ plain[1],
        "AFM_product": outputs[0] @ outputs[1],
    }


def _check_determined(w: Tensor, covariance: Tensor, rank: int) -> None:
    """Outputs that move along fewer directions than `rank` leave the other eigenvectors to rounding."""
    values: Tensor = linalg.eigvalsh(covariance)
    moved = int((values > values[-1] * 1e-10).sum())
    if moved < rank < len(values):
        left, right = by_outputs(w, covariance, moved)
        if (w - left @ right).abs().max() > 1e-9:
            raise Declined(
                f"saved_rank={rank}: the calibration outputs have rank {moved}, so that AFM's other eigenvectors are arbitrary"
            )


def _channels(w: Mapping[str, Tensor], x: Tensor, drop: float, least: float) -> dict[str, Tensor]:
    gate, up, down = (w[f"{n}_proj.weight"] for n in ("gate", "up", "down"))
    hidden = F.silu(x @ gate.T) * (x @ up.T)
    scores = channel_scores(gate, up, down, _row(x).sqrt(), _row(hidden).sqrt())
    keep = kept_channels(scores, drop, least)
    return {"score": scores, "gate": gate[keep], "up": up[keep], "down": down[:, keep]}
