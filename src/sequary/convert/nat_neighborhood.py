"""SHI-Labs/NATTEN: `NeighborhoodAttention1D` and `2D` of release 0.14.6, and the masks of its Flex backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from sequary.convert.chunks import chunked
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.mixers.attention.neighbourhood import NeighbourhoodAttention
from sequary.ops.neighbourhood import attend_at, combined, every, window

RULES = ((r"^(q|k|v)\.", r"qkv.\1."), (r"^proj\.", "o."), (r"^rpb$", "relative.table"))
Function = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> NeighbourhoodAttention | Function:
    """The module, or for `get_na_flex_mask` the function (query, key, value) -> (output, mask)."""
    if source.startswith("get_na_flex_mask"):
        return lambda q, k, v: _function(q, k, v, arguments)
    axes = {"NeighborhoodAttention1D": 1, "NeighborhoodAttention2D": 2}.get(source)
    if axes is None:
        raise Declined(
            f"source={source!r}: known are NeighborhoodAttention1D, NeighborhoodAttention2D, get_na_flex_mask"
        )
    module = NeighbourhoodAttention(
        arguments["dim"],
        heads=arguments["num_heads"],
        kernel=arguments["kernel_size"],
        dilation=arguments.get("dilation") or 1,
        axes=axes,
        bias=arguments.get("qkv_bias", True),
        relative=arguments.get("bias", True),
        scale=arguments.get("qk_scale") or None,
    )
    return fill(module, renamed(chunked(weights, {"qkv": ("q", "k", "v")}), RULES))


def replay(
    loaded: NeighbourhoodAttention | Function, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    if not isinstance(loaded, NeighbourhoodAttention):
        y, mask = loaded(inputs["query"], inputs["key"], inputs["value"])
        return {"y": y, "mask": mask}
    x = inputs["x"]
    grid = x.shape[1:-1]
    # The source fills up inputs smaller than the dilated kernel with zeros, which then take part as keys.
    least = loaded.kernel * loaded.dilation
    more = [(0, max(0, least - n)) for n in reversed(grid)]
    x = F.pad(x, (0, 0, *(n for pair in more for n in pair)))
    y = loaded(x.flatten(1, -2), Ctx(grid=tuple(x.shape[1:-1]))).unflatten(1, x.shape[1:-1])
    for axis, n in enumerate(grid):
        y = y.narrow(1 + axis, 0, n)
    return {"y": y}


def _function(query: Tensor, key: Tensor, value: Tensor, arguments: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """[B, *grid, heads, width] each -> the output of the same shape, and the mask [T, T]."""
    grid = list(query.shape[1:-2])
    names = {"kernel": "kernel_size", "stride": "stride", "dilation": "dilation", "causal": "is_causal"}
    given = [{ours: _at(arguments, theirs, a) for ours, theirs in names.items()} for a in range(len(grid))]
    axes = [window(n, **at) for n, at in zip(grid, given, strict=True)]
    keys_TN, real_TN = combined([k for k, _ in axes], grid), every([r for _, r in axes])
    q, k, v = (rearrange(t.flatten(1, -3), "b t h k -> b h t k") for t in (query, key, value))
    if k.shape[1] != q.shape[1]:
        k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    y = attend_at(q, k, v, keys_TN, sees_BTN=real_TN[None], scale=arguments.get("scale"))
    mask = torch.zeros(q.shape[2], q.shape[2], dtype=torch.uint8)
    mask = mask.scatter_reduce(1, keys_TN, real_TN.to(torch.uint8), "amax")
    return rearrange(y, "b h t k -> b t h k").unflatten(1, grid), mask


def _at(arguments: Mapping[str, Any], name: str, axis: int) -> Any:
    """One value for all axes, or one for each; 1 (False) where the source's default stands."""
    value = arguments.get(name, False if name == "is_causal" else 1)
    return value[axis] if isinstance(value, list | tuple) else value
