"""Nandan91/ULSAM: `ulsam.py`, class `ULSAM`, in eval mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.ctx import Ctx
from sequary.mixers.conv.subspace_attention import SubspaceAttention

EPS = 1e-5


class Rectified(SubspaceAttention):
    """Beyond the paper, batch norm and ReLU follow each convolution; the norms fold into the convolutions."""

    def bent(self, x: Tensor) -> Tensor:
        return x.relu()


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Rectified:
    """`nout`, `h` and `w` are not read there."""
    if source != "ULSAM":
        raise Declined(f"source={source!r}: known is ULSAM")
    groups = arguments["num_splits"]
    found: dict[str, list[Tensor]] = {"scale": [], "shift": [], "point": [], "offset": []}
    for group in range(groups):
        at = f"subspaces.{group}."
        for conv, norm, weight, bias in (("dws", "dws", "scale", "shift"), ("point", "point", "point", "offset")):
            kernel, added = weights[f"{at}conv_{conv}.weight"].flatten(), weights[f"{at}conv_{conv}.bias"]
            gain = weights[f"{at}bn_{norm}.weight"] / (weights[f"{at}bn_{norm}.running_var"] + EPS).sqrt()
            found[weight].append(kernel * gain)
            mean = weights[f"{at}bn_{norm}.running_mean"]
            found[bias].append((added - mean) * gain + weights[f"{at}bn_{norm}.bias"])
    ours = {name: torch.cat(values) for name, values in found.items()}
    return fill(Rectified(arguments["nin"], groups=groups), ours)


def replay(loaded: Rectified, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    y_BTD = loaded(x.flatten(2).transpose(1, 2), Ctx(grid=(x.shape[2], x.shape[3])))
    return {"y": y_BTD.transpose(1, 2).view_as(x)}
