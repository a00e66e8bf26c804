"""google-research/combiner (JAX): the attentions `_SelfAttSqrtn`, `_SelfAttLogn` and `_SelfAttAxialRowmajor`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.mixers.attention.combiner import AxialCombiner, Combiner, FixedCombiner, LogCombiner

NAMES = {
    "query.kernel": "q.weight",
    "key.kernel": "k.weight",
    "value.kernel": "v.weight",
    "DenseGeneral_0.kernel": "o.weight",
}
AXIAL = {
    "DenseGeneral_0.kernel": "up.weight",
    "DenseGeneral_1.kernel": "key.weight",
    "DenseGeneral_2.kernel": "o.weight",
    "LayerNorm_0.scale": "norm.weight",
    "LayerNorm_0.bias": "norm.bias",
}


class CutLog(LogCombiner):
    """As the source counts levels: ⌈log₂(n − 1)⌉, one too few where n − 1 is a power of two, so that the last token reads itself alone."""

    def levels(self, length: int) -> int:
        return math.ceil(math.log2(length - 1))


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Combiner:
    """`arguments`: num_heads, and max_seg_len where there are segments; qkv_dim shows in the weights, max_len in the input."""
    dim, heads, width = weights["query.kernel"].shape
    if source == "_SelfAttLogn":
        made: Combiner = CutLog(dim, heads=heads, width=width)
    elif source == "_SelfAttSqrtn":
        made = FixedCombiner(dim, heads=heads, block=arguments["max_seg_len"], width=width)
    elif source == "_SelfAttAxialRowmajor":
        made = AxialCombiner(dim, heads=heads, block=arguments["max_seg_len"], width=width)
    else:
        raise Declined(f"source={source!r}: known are _SelfAttSqrtn, _SelfAttLogn and _SelfAttAxialRowmajor")
    names = NAMES | (AXIAL if source == "_SelfAttAxialRowmajor" else {})
    return fill(
        made, {names[k]: _matrix(v, outwards=names[k] in {"o.weight", "up.weight"}) for k, v in weights.items()}
    )


def _matrix(kernel: Tensor, *, outwards: bool) -> Tensor:
    """[D, H, K], or outwards [H, K, D], as the weight of a linear map."""
    return kernel if kernel.dim() == 1 else kernel.flatten(0, 1).T if outwards else kernel.flatten(1).T


def replay(loaded: Combiner, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return {"y": loaded(inputs["x"])}
