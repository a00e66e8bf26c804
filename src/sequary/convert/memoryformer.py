"""C0-Design/MemoryFormer: `memory_module/memory.py`, class `MemoryLayer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.mixers.hashed import HashLinear


class SizedScore(HashLinear):
    """Their score is the paper's times Σ_i |z_i|, without a temperature."""

    def score(self, z: Tensor) -> Tensor:
        return super().score(z) * z.abs().sum(-1)


class MemoryLayer(nn.Module):
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        bits, inputs = arguments["code_length"], arguments["hidden_size"]
        hashed = arguments["ffn_num_table"] * bits
        self.projection = nn.Identity() if arguments["remove_projection"] else nn.Linear(inputs, hashed)
        self.table = SizedScore(hashed, arguments["output_size"], bits=bits)

    def chunks(self, x: Tensor) -> Tensor:
        return self.projection(x).unflatten(-1, (-1, self.table.bits))


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> MemoryLayer:
    """`act_fn` and `block_size` are not read by the layer."""
    if source != "MemoryLayer":
        raise Declined(f"source={source!r}: known is MemoryLayer")
    if not arguments["remove_projection"] and arguments["projection_type"].lower() != "dense":
        raise Declined(f"projection_type={arguments['projection_type']!r}: the source itself knows only dense")
    tables = weights["tables"].unflatten(0, (arguments["ffn_num_table"], 2 ** arguments["code_length"]))
    ours = {"table.tables": tables, "table.bias": weights["bias"]}
    if not arguments["remove_projection"]:
        ours |= {f"projection.{leaf}": weights[f"hash.projection.{leaf}"] for leaf in ("weight", "bias")}
    return fill(MemoryLayer(arguments), ours)


def replay(loaded: MemoryLayer, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    z = loaded.chunks(inputs["x"])
    y = loaded.table(z.flatten(-2))
    # With skip_bias_add_and_return the source leaves the addition to its caller.
    skips = arguments.get("skip_bias_add_and_return", False)
    return {
        "code": loaded.table.address(z),
        "score": loaded.table.score(z),
        "y": y - loaded.table.bias if skips else y,
        "bias": loaded.table.bias,
    }
