"""lucidrains/axial-attention 0.6.1 (a third-party package): `AxialAttention` and `AxialImageTransformer`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.backbones.two_streams import TwoStreams
from sequary.blocks.chain import Chain
from sequary.blocks.deviation_norm import DeviationNorm
from sequary.blocks.norms import LayerNorm
from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.convert.chunks import chunked
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.axial import AxialAttention
from sequary.mixers.conv.image_mlp import ConvMLP
from sequary.tokens.axial_positions import AxialPositions

SLOT = r"^layers\.blocks\.(\d+)\.(\d)\."
"""Block n, half j: part j of block n of a stack, or part 2n + j of two streams."""


class Placed(nn.Module):
    """Positions, where there are any, and a backbone."""

    def __init__(self, places: AxialPositions | None, backbone: Backbone) -> None:
        super().__init__()
        self.places, self.backbone = places, backbone

    def forward(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        assert ctx.grid is not None
        return self.backbone(x_BTD if self.places is None else self.places(x_BTD, ctx.grid), ctx)[-1].x


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """A module (x [B, T, D], ctx with a grid) -> [B, T, D]."""
    cut = chunked(weights, {"to_kv": ("to_k", "to_v")})
    heads, width = arguments.get("heads", 8), arguments.get("dim_heads")
    if source == "AxialAttention":
        axes = arguments.get("num_dimensions", 2)
        if axes > 3:
            raise Declined(f"num_dimensions={axes}: grids of up to three axes are supported")
        parts = tuple(part(AxialAttention, heads=heads, axis=a, key_width=width) for a in range(axes))
        together = part(Parallel if arguments.get("sum_axial_out", True) else Chain, parts=parts)
        rules = (
            (r"^axial_attentions\.(\d+)\.fn", r"parts.\1.lines"),
            (r"\.to_(q|k|v)\.", r".qkv.\1."),
            (r"\.to_out\.", ".o."),
        )
        return fill(together.build(Place(arguments["dim"])), renamed(cut, rules))
    if source != "AxialImageTransformer":
        raise Declined(f"source={source!r}: known are AxialAttention and AxialImageTransformer")
    if arguments.get("dim_index", 1) != 1:
        raise Declined(
            f"dim_index={arguments['dim_index']}: the source's convolutions and norms read axis 1 as channels"
        )
    return _image_transformer(arguments, cut)


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    index = arguments.get("dim_index", 1 if isinstance(loaded, Placed) else -1)
    x = inputs["x"].movedim(index, -1)
    y = loaded(x.flatten(1, -2), Ctx(grid=tuple(x.shape[1:-1])))
    return {"y": y.view(x.shape).movedim(-1, index)}


def _image_transformer(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    place, depth = Place(arguments["dim"]), 2 * arguments["depth"]
    heads, width = arguments.get("heads", 8), arguments.get("dim_heads")
    lines = (part(AxialAttention, heads=heads, axis=0, key_width=width),
             part(AxialAttention, heads=heads, axis=1, key_width=width))  # fmt: skip
    convolutions = (part(ConvMLP), part(ConvMLP))
    backbone: Part[Backbone]
    if arguments.get("reversible", True):
        norms = (part(LayerNorm), part(DeviationNorm))
        backbone = part(TwoStreams, depth=depth, pairs=(lines, convolutions), norms=norms)
    else:
        attention, mlp = (
            part(PreNorm, parts=lines, norm=part(LayerNorm)),
            part(PreNorm, parts=convolutions, norm=part(DeviationNorm)),
        )
        backbone = part(Stack, depth=depth, blocks=(attention, mlp))
    shape = arguments.get("axial_pos_emb_shape")
    places = None if shape is None else part(AxialPositions, grid=tuple(shape)).build(place)
    return fill(Placed(places, backbone.build(place)), _ours(weights, bool(arguments.get("reversible", True))))


def _ours(weights: Mapping[str, Tensor], streams: bool) -> dict[str, Tensor]:
    def at(kind: str, m: re.Match[str]) -> str:
        block, half = int(m[1]), int(m[2])
        return f"backbone.{kind}.{2 * block + half}" if streams else f"backbone.blocks.{block}.{kind}.{half}"

    rules = (
        (r"\.([fg])\.net\.", lambda m: ".0." if m[1] == "f" else ".1."),
        (SLOT + r"fn\.norm\.", lambda m: f"{at('norms', m)}.norm."),
        (SLOT + r"fn\.fn\.to_(q|k|v)\.", lambda m: f"{at('parts', m)}.lines.qkv.{m[3]}."),
        (SLOT + r"fn\.fn\.to_out\.", lambda m: f"{at('parts', m)}.lines.o."),
        (SLOT + r"0\.(g|b)$", lambda m: f"{at('norms', m)}.{'weight' if m[3] == 'g' else 'bias'}"),
        (SLOT + r"(1|3)\.", lambda m: f"{at('parts', m)}.{'up' if m[3] == '1' else 'down'}."),
        (r"^pos_emb\.param_(\d+)$", r"places.axes.\1"),
    )
    made = renamed(weights, rules)
    for name, value in made.items():
        if name.startswith("places."):
            made[name] = value.reshape(value.shape[1], -1).T
        elif ".norms." in name:
            made[name] = value.flatten()
    return made
