"""jacklishufan/Mamba-ND: a stack of `Block` over mamba_simple's `Mamba`, as `create_block` builds it for images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm, RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.mamba import BLOCK, tapped
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.place import Place
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.ssm.mamba import Mamba
from sequary.mixers.unravelled import Unravelled

RULES = (
    (r"^layers\.(\d+)\.norm\.", r"blocks.\1.norms.0.norm."),
    (r"^layers\.(\d+)\.mixer\.", r"blocks.\1.parts.0.inner."),
    *BLOCK,
)
ORDERS = (((0, 1), False), ((0, 1), True), ((1, 0), False), ((1, 0), True))
"""Of layer i, i mod 4: (axes, reverse)."""


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Stack:
    if not source.startswith("Block"):
        raise Declined(f"source={source!r}: known is Block (a stack of them)")
    get = arguments.get
    rank = get("dt_rank", "auto")
    inner = part(
        Mamba,
        expand=get("expand", 2),
        states=get("d_state", 16),
        rank=None if rank == "auto" else rank,
        conv=part(ShortConv, taps=get("d_conv", 4), bias=get("conv_bias", True)),
        bias=get("bias", False),
    )
    eps = get("norm_epsilon", 1e-5)
    norm = part(RMSNorm, eps=eps) if get("rms_norm", False) else part(LayerNorm, eps=eps)
    blocks = tuple(
        part(PreNorm, parts=(part(Unravelled, inner=inner, axes=axes, reverse=back),), norm=norm)
        for axes, back in ORDERS
    )
    stack = part(Stack, depth=arguments["layers"], blocks=blocks).build(Place(arguments["dim"]))
    return fill(stack, tapped(renamed(weights, RULES)))


def replay(loaded: Stack, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Fused: what each mixer gives, and the stream that it read. Unfused: the stream, which is itself normalised at each layer."""
    x, found = inputs["x"], dict[str, Tensor]()
    ctx = Ctx(grid=_grid(x.shape[1], len(loaded.blocks)))
    for i, block in enumerate(loaded.blocks):
        assert isinstance(block, PreNorm)
        read = block.norms[0](x)
        said = block.parts[0](read, ctx)
        if arguments.get("fused", True):
            found |= {f"hidden{i}": said, f"residual{i}": x}
            x = x + said
        else:
            x = found[f"hidden{i}"] = read + said
    return found


def _grid(length: int, layers: int) -> tuple[int, int]:
    """The source folds tokens to a square; before the third layer no order depends on it."""
    side = math.isqrt(length)
    if side * side == length:
        return side, side
    if layers > 2:
        raise Declined(f"{length} tokens: the source's transposed layers take a square grid")
    return 1, length
