"""What the converters of vision systems decline, by name; what timm makes of its options, by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from sequary.convert import flatformer, halonet, mamba_nd, van_lka
from sequary.convert.declined import Declined


@pytest.mark.parametrize(
    ("module", "source", "arguments", "name"),
    [
        (van_lka, "VAN", {"num_stages": 2}, "num_stages=2"),
        (van_lka, "Block", {"dim": 8, "act_layer": "Tanh"}, "act_layer='Tanh'"),
        (flatformer, "FlatFormer", {"in_channels": 8, "activation": "glu"}, "activation='glu'"),
        (halonet, "HaloBlock", {}, "source='HaloBlock'"),
        (mamba_nd, "Mamba", {}, "source='Mamba'"),
    ],
)
def test_what_is_declined_is_named(module: Any, source: str, arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(Declined, match=name):
        module.load(source, arguments, {})


def test_a_sample_smaller_than_a_group_is_declined() -> None:
    coords = torch.tensor([[0, 0, 1, 1], [0, 0, 2, 3]])
    arguments = {"group_size": 4, "batch_size": 1, "sparse_shape": (5, 5, 1), "output_shape": (5, 5)}
    with pytest.raises(Declined, match="group_size=4"):
        flatformer.replay(None, {"coords": coords, "x": torch.zeros(2, 8)}, arguments)  # type: ignore[arg-type]


def test_transposed_layers_take_a_square() -> None:
    with pytest.raises(Declined, match="15 tokens"):
        mamba_nd._grid(15, 4)
    assert mamba_nd._grid(15, 2) == (1, 15)


def test_averages_follow_where_the_stride_does_not_divide_the_block() -> None:
    """timm: queries do not stride then, and 2 × 2 means are taken of the output; scores of positions may be scaled."""
    rng = torch.Generator().manual_seed(0)
    shapes = {"q.weight": (8, 4, 1, 1), "kv.weight": (14, 4, 1, 1)}
    shapes |= {"pos_embed.height_rel": (13, 4), "pos_embed.width_rel": (13, 4)}
    weights = {n: torch.randn(s, generator=rng, dtype=torch.float64) for n, s in shapes.items()}
    common = {"dim": 4, "dim_out": 6, "num_heads": 2, "dim_head": 4, "block_size": 3, "halo_size": 2}
    x = torch.randn(1, 4, 6, 6, generator=rng, dtype=torch.float64)
    strided = halonet.load("HaloAttn", {**common, "stride": 2}, weights)
    whole = halonet.load("HaloAttn", common, weights)
    torch.testing.assert_close(
        halonet.replay(strided, {"x": x}, {})["y"], F.avg_pool2d(halonet.replay(whole, {"x": x}, {})["y"], 2)
    )
    scaled = halonet.load("HaloAttn", {**common, "scale_pos_embed": True}, weights)
    double = {n: w * (2.0 if n.startswith("pos") else 1.0) for n, w in weights.items()}  # √4
    again = halonet.load("HaloAttn", {**common, "scale_pos_embed": True}, double)
    torch.testing.assert_close(halonet.replay(again, {"x": x}, {})["y"], halonet.replay(whole, {"x": x}, {})["y"])
    assert not torch.allclose(halonet.replay(scaled, {"x": x}, {})["y"], halonet.replay(whole, {"x": x}, {})["y"])
