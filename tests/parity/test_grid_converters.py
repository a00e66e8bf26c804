"""Converters of the grid systems: what they take beyond the goldens, and what they decline by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sequary.convert import axial_attention, linformer, nat_neighborhood, swin
from sequary.convert.declined import Declined


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def axial_weights(axes: int, dim: int) -> dict[str, torch.Tensor]:
    shapes = {
        "to_q.weight": (dim, dim),
        "to_kv.weight": (2 * dim, dim),
        "to_out.weight": (dim, dim),
        "to_out.bias": (dim,),
    }
    return {
        f"axial_attentions.{a}.fn.{name}": normal(*shape, seed=10 * a + i)
        for a in range(axes)
        for i, (name, shape) in enumerate(shapes.items())
    }


def test_axial_channels_may_stand_anywhere() -> None:
    weights, x = axial_weights(2, 8), normal(2, 3, 5, 8)
    last, first = (
        axial_attention.replay(
            axial_attention.load("AxialAttention", a, weights), {"x": x.movedim(-1, a.get("dim_index", -1))}, a
        )["y"].movedim(a.get("dim_index", -1), -1)
        for a in ({"dim": 8, "heads": 2}, {"dim": 8, "heads": 2, "num_dimensions": 2, "dim_index": 1})
    )
    torch.testing.assert_close(first, last)


def test_axes_in_turn_are_not_their_sum() -> None:
    weights, x, arguments = axial_weights(2, 8), normal(2, 3, 5, 8), {"dim": 8, "heads": 2}
    summed, chained = (
        axial_attention.replay(
            axial_attention.load("AxialAttention", {**arguments, "sum_axial_out": s}, weights), {"x": x}, arguments
        )["y"]
        for s in (True, False)
    )
    one = {k: v for k, v in weights.items() if ".0." in k}
    alone = axial_attention.load("AxialAttention", {**arguments, "num_dimensions": 1}, one)
    columns = axial_attention.replay(alone, {"x": x.transpose(1, 2).flatten(0, 1)}, arguments)["y"]
    columns = columns.view(2, 5, 3, 8).transpose(1, 2)
    other = {k.replace(".1.", ".0."): v for k, v in weights.items() if ".1." in k}
    rows = axial_attention.load("AxialAttention", {**arguments, "num_dimensions": 1}, other)
    again = axial_attention.replay(rows, {"x": columns.flatten(0, 1)}, arguments)["y"].view_as(x)
    both = columns + axial_attention.replay(rows, {"x": x.flatten(0, 1)}, arguments)["y"].view_as(x)
    torch.testing.assert_close(chained, again)
    torch.testing.assert_close(summed, both)


def test_natten_fills_small_inputs_up_with_zeros() -> None:
    """The filler holds the biases of keys and values, and takes part."""
    arguments = {"dim": 8, "num_heads": 2, "kernel_size": 5}
    names = {"qkv.weight": (24, 8), "qkv.bias": (24,), "rpb": (2, 9), "proj.weight": (8, 8), "proj.bias": (8,)}
    weights = {n: normal(*s, seed=i) for i, (n, s) in enumerate(names.items())}
    loaded, x = nat_neighborhood.load("NeighborhoodAttention1D", arguments, weights), normal(2, 3, 8, seed=9)
    short = nat_neighborhood.replay(loaded, {"x": x}, arguments)["y"]
    filled = nat_neighborhood.replay(loaded, {"x": torch.cat((x, torch.zeros(2, 2, 8)), 1)}, arguments)["y"]
    torch.testing.assert_close(short, filled[:, :3])


@pytest.mark.parametrize(
    ("converter", "source", "arguments", "message"),
    [
        (axial_attention, "AxialAttention", {"dim": 8, "num_dimensions": 4}, "num_dimensions=4"),
        (axial_attention, "AxialImageTransformer", {"dim": 8, "depth": 1, "dim_index": -1}, "dim_index=-1"),
        (swin, "SwinTransformer", {"patch_size": [2, 4]}, "patch_size="),
        (swin, "SwinModel", {"hidden_act": "relu"}, "hidden_act='relu'"),
        (swin, "Other", {}, "source='Other'"),
        (linformer, "Other", {}, "source='Other'"),
        (nat_neighborhood, "Other", {}, "source='Other'"),
    ],
)
def test_declined_by_name(converter: Any, source: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(Declined, match=message):
        converter.load(source, arguments, {})
