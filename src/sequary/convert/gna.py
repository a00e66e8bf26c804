"""SHI-Labs/NATTEN: the masks of its Flex backend (`get_na_flex_mask`), replayed by groups of queries that share their keys.

`convert/nat_neighborhood.py` replays the same function one query at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.ops.groups import attend_groups
from sequary.ops.neighbourhood_groups import Neighbourhood, neighbourhood_groups

Function = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Function:
    """The function (query, key, value) -> (output, mask)."""
    if not source.startswith("get_na_flex_mask"):
        raise Declined(f"source={source!r}: known is get_na_flex_mask; NATTEN's modules are those of nat-neighborhood")
    return lambda q, k, v: _function(q, k, v, arguments)


def replay(loaded: Function, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    y, mask = loaded(inputs["query"], inputs["key"], inputs["value"])
    return {"y": y, "mask": mask}


def _function(query: Tensor, key: Tensor, value: Tensor, arguments: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """[B, *grid, heads, width] each -> the output of the same shape, and the mask [T, T]; fewer heads of keys are shared."""
    grid = tuple(query.shape[1:-2])
    near = tuple(
        Neighbourhood(
            kernel=_at(arguments, "kernel_size", a),
            stride=_at(arguments, "stride", a),
            dilation=_at(arguments, "dilation", a),
            causal=bool(_at(arguments, "is_causal", a)),
        )
        for a in range(len(grid))
    )
    queries, keys, sees = neighbourhood_groups(grid, near)
    q, k, v = (rearrange(t.flatten(1, -3), "b t h k -> b h t k") for t in (query, key, value))
    if k.shape[1] != q.shape[1]:
        k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    y = attend_groups(q, k, v, queries, keys, sees_BGQN=sees[None], scale=arguments.get("scale"))
    mask = torch.zeros(q.shape[2] + 1, q.shape[2], dtype=torch.bool)
    pairs = (queries[:, :, None].expand_as(sees)[sees], keys[:, None, :].expand_as(sees)[sees])
    mask[pairs] = True
    return rearrange(y, "b h t k -> b t h k").unflatten(1, grid), mask[:-1].to(torch.uint8)


def _at(arguments: Mapping[str, Any], name: str, axis: int) -> Any:
    """One value for all axes, or one for each; the source's default where none is given."""
    value = arguments.get(name, False if name == "is_causal" else 1)
    return value[axis] if isinstance(value, list | tuple) else value
