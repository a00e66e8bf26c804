"""cure-lab/LTSF-Linear: `models/Linear.py:Model`, `models/NLinear.py:Model`, `models/DLinear.py:Model`.

All three classes are called `Model`, so the file is part of the source. DLinear can be told by its weights as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.catalogue import load as system
from sequary.core.contracts import Forecasts
from sequary.core.values import Batch


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Forecasts:
    """`arguments`: seq_len, pred_len, enc_in, individual."""
    name = "dlinear" if any(k.startswith("Linear_Trend") for k in weights) else _named(source)
    recipe = system(name).recipe
    assert recipe is not None
    bound = recipe.bind({"context": arguments["seq_len"], "horizon": arguments["pred_len"]})
    if arguments.get("individual", False):
        bound = bound.but(model__head__own=arguments["enc_in"])
    model = bound.build()
    assert isinstance(model, Forecasts)
    places = {"Linear_Trend": "heads.main.trend", "Linear_Seasonal": "heads.main.remainder", "Linear": "heads.main.map"}
    return fill(model, {f"{ours}.{leaf}": _gather(weights, theirs, leaf) for theirs, ours in places.items()
                        for leaf in ("weight", "bias") if any(k.startswith(f"{theirs}.") for k in weights)})  # fmt: skip


def replay(loaded: Forecasts, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return {"y": loaded.mean(loaded(Batch(values=inputs["x"])))}


def _named(source: str) -> str:
    for name in ("DLinear", "NLinear", "Linear"):
        if name in source.rpartition("/")[2]:
            return name.lower()
    raise Declined(
        f"source={source!r}: Linear and NLinear have the same weights; say models/Linear.py:Model or models/NLinear.py:Model"
    )


def _gather(weights: Mapping[str, Tensor], theirs: str, leaf: str) -> Tensor:
    """The shared map, or the maps of all channels stacked."""
    if f"{theirs}.{leaf}" in weights:
        return weights[f"{theirs}.{leaf}"]
    count = sum(k.startswith(f"{theirs}.") and k.endswith(f".{leaf}") for k in weights)
    return torch.stack([weights[f"{theirs}.{c}.{leaf}"] for c in range(count)])
