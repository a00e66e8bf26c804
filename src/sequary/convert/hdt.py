"""autonomousvision/hdt: the attention of its kernel, and `HierarchicalSinusoidalPositional`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.mixers.attention.document_tree import tree_attend
from sequary.tokens.tree_symbols import TreePositions

Loaded = TreePositions | Callable[..., Tensor]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    """`arguments`: emb_dim of the positions (max_seq_length has no effect); causal of the attention."""
    if source == "HierarchicalSinusoidalPositional":
        return fill(TreePositions(arguments["emb_dim"]), {"scale": weights["scale_factor"]})
    if source.partition(" ")[0] != "attention_fn":
        raise Declined(f"source={source!r}: known are attention_fn and HierarchicalSinusoidalPositional")
    if arguments.get("causal"):
        raise Declined("causal=True: the kernel masks neither anchors nor by the keys' own places")
    return tree_attend


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, TreePositions):
        levels = [inputs[n] for n in sorted(inputs)]
        return {"y": loaded(levels, arguments["emb_dim"])}
    numbers = sorted(n.rpartition("_")[2] for n in inputs if n.startswith("keep_ids"))
    found = [(inputs[f"keep_ids_{n}"].bool(), inputs[f"hash_ids_{n}"].long()) for n in numbers]
    q, k, v = inputs["q"], inputs["k"], inputs["v"]
    y = loaded(q, k, v, found, (q.shape[2],) * len(found))
    mask = torch.stack([_pairs(member) & (label[:, :, None] == label[:, None]) for member, label in found]).any(0)
    return {"y": y.transpose(1, 2), "mask": mask.to(torch.uint8)}


def _pairs(member_BT: Tensor) -> Tensor:
    return member_BT[:, :, None] & member_BT[:, None]
