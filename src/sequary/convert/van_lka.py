"""Visual-Attention-Network/VAN-Classification: `LKA`, `Block` and `VAN`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sequary.backbones.overlap_down import OverlapDown
from sequary.backbones.stack import Stack
from sequary.blocks.layer_scale import LayerScaled
from sequary.blocks.norms import BatchNorm, LayerNorm, NoNorm
from sequary.convert.declined import Declined
from sequary.convert.pieces import Pieces
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.conv.depthwise_mlp import DepthwiseMLP
from sequary.mixers.conv.large_kernel import LargeKernelAttention, VisualAttention
from sequary.tokens.overlap_patches import OverlapPatches

CORE = ((r"\bconv0\.", "local."), (r"\bconv_spatial\.", "far."), (r"\bconv1\.", "mix."))
BLOCK = (
    (r"\bnorm([12])\.", lambda m: f"norms.{int(m[1]) - 1}.norm."),
    (r"\blayer_scale_([12])$", lambda m: f"scales.{int(m[1]) - 1}"),
    (r"\battn\.proj_1\.", "parts.0.enter."),
    (r"\battn\.proj_2\.", "parts.0.leave."),
    (r"\battn\.spatial_gating_unit\.", "parts.0.core."),
    (r"\bmlp\.fc1\.", "parts.1.up."),
    (r"\bmlp\.dwconv\.dwconv\.", "parts.1.conv."),
    (r"\bmlp\.fc2\.", "parts.1.down."),
    *CORE,
)
MODEL = (
    (r"^patch_embed1\.proj\.", "tokens.embed."),
    (r"^patch_embed1\.norm\.", "tokens.norm.bn."),
    (r"^patch_embed(\d)\.proj\.", lambda m: f"downs.{int(m[1]) - 2}.reduce."),
    (r"^patch_embed(\d)\.norm\.", lambda m: f"downs.{int(m[1]) - 2}.norm.bn."),
    (r"^norm(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.norm.ln."),
    (r"^block(\d)\.(\d+)\.", lambda m: f"stages.{int(m[1]) - 1}.blocks.{m[2]}."),
)
LAST = ((r"\.(?:bn|ln)\.", ".norm."),)
"""Names that the rules for blocks would take for theirs wait under another until those have run."""


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    if source == "LKA":
        return fill(LargeKernelAttention(arguments["dim"]), _ours(weights, CORE))
    if source == "Block":
        made = _block(arguments["dim"], arguments.get("mlp_ratio", 4.0), arguments.get("act_layer", "GELU"))
        return fill(made.build(Place(arguments["dim"])), _ours(weights, BLOCK))
    if source != "VAN":
        raise Declined(f"source={source!r}: known are LKA, Block and VAN")
    return fill(_model(arguments), _ours(weights, (*MODEL, *BLOCK, *LAST)))


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if isinstance(loaded, Pieces):
        return {"y": loaded(x)[0]}
    grid = (x.shape[2], x.shape[3])
    return {"y": loaded(x.flatten(2).mT, Ctx(grid=grid)).mT.unflatten(2, grid)}


def _block(dim: int, ratio: float, activation: Any) -> Part[Mixer]:
    named = str(getattr(activation, "__name__", activation)).lower()
    if "relu" not in named and "gelu" not in named:
        raise Declined(f"act_layer={activation!r}: the feed-forward has gelu or relu")
    mlp = part(DepthwiseMLP, hidden=int(dim * ratio), activation="gelu" if "gelu" in named else "relu")
    return part(LayerScaled, parts=(part(VisualAttention), mlp), norm=part(BatchNorm))


def _model(arguments: Mapping[str, Any]) -> Pieces:
    get = arguments.get
    count = get("num_stages", 4)
    widths, depths = list(get("embed_dims", (64, 128, 256, 512))), list(get("depths", (3, 4, 6, 3)))
    ratios = list(get("mlp_ratios", (4, 4, 4, 4)))
    if not 1 <= count <= 4 or widths[count - 1] != widths[3]:
        raise Declined(f"num_stages={count}: the source's head has the width of the fourth stage, {widths[3]}")
    norm = part(LayerNorm, eps=_eps(get("norm_layer", "LayerNorm")))
    stages = [
        part(Stack, depth=depth, blocks=(_block(width, ratio, "GELU"),), norm=norm).build(Place(width))
        for width, depth, ratio in zip(widths[:count], depths, ratios, strict=False)
    ]
    downs = [OverlapDown(a, widths=(a, b)) for a, b in itertools.pairwise(widths[:count])]
    classes = get("num_classes", 1000)
    head = nn.Linear(widths[3], classes) if classes else None
    return Pieces(OverlapPatches(widths[0], channels=get("in_chans", 3)), stages, downs, NoNorm(widths[3]), head)


def _eps(norm: Any) -> float:
    """The case tells it as "LayerNorm eps 1e-6"; torch's default where it does not."""
    found = re.search(r"eps\s*=?\s*([\d.]+(?:e-?\d+)?)", str(norm))
    return float(found[1]) if found else 1e-5


def _ours(weights: Mapping[str, Tensor], rules: Any) -> dict[str, Tensor]:
    """1 × 1 convolutions are maps of features."""
    made = renamed(weights, rules, drop="num_batches_tracked$")
    flat = re.compile(r"(^|\.)(mix|enter|leave|up|down)\.weight$")
    return {n: v.flatten(1) if flat.search(n) else v for n, v in made.items()}
