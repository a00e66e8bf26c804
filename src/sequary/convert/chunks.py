"""Projections that a source stores as one matrix (qkv, to_kv), cut into ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def chunked(weights: Mapping[str, Tensor], names: Mapping[str, tuple[str, ...]]) -> dict[str, Tensor]:
    """`a.qkv.weight` -> `a.q.weight`, `a.k.weight`, `a.v.weight` for names {"qkv": ("q", "k", "v")}: equal parts of the first axis."""
    made: dict[str, Tensor] = {}
    for key, value in weights.items():
        *above, module, leaf = ("", *key.split("."))
        if module not in names:
            made[key] = value
            continue
        for part, piece in zip(names[module], value.chunk(len(names[module])), strict=True):
            made[".".join((*above[1:], part, leaf))] = piece
    return made
