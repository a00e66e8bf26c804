"""BryceZhuo/PolyCom: `PolyNorm` and `PolyReLU` of the dense model's `transformer.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.mixers.mlp.polynomials import Polynomial, PolyNorm, PolyReLU

SOURCES = {"PolyNorm": PolyNorm, "PolyReLU": PolyReLU}


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Polynomial:
    """`inplace`, the only argument, is never read there. Their coefficients come highest power first."""
    if source not in SOURCES:
        raise Declined(f"source={source!r}: known are {', '.join(SOURCES)}")
    return fill(SOURCES[source](1), {"a": weights["weight"].flip(0), "constant": weights["bias"]})


def replay(loaded: Polynomial, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return {"y": loaded(inputs["x"])}
