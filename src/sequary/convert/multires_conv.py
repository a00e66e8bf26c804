"""thjashin/multires-conv: `MultiresLayer` (ours ends before its GELU) and the classifier `MultiresNet`. Tensors there are [B, C, L]."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import BatchNorm, LayerNorm, Norm
from sequary.blocks.postnorm import PostNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.conv.multires import MultiresConv, MultiresLayer, TreeState
from sequary.ops.dilated_taps import dilated_taps

RULES = ((r"(^|\.)h0$", r"\1low"), (r"(^|\.)h1$", r"\1high"), (r"(^|\.)w$", r"\1mix"))


class UniformTree(MultiresConv):
    """`tree_select="uniform"`: `memory` weights in all, several for each coarse level; its dilations one level too coarse, as there."""

    def __init__(self, dim: int, *, taps: int, depth: int, memory: int) -> None:
        super().__init__(dim, taps=taps, depth=depth)
        self.memory = memory
        self.mix = nn.Parameter(self.mix.new_zeros(dim, memory + 1))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, TreeState]:
        assert isinstance(state, TreeState)
        average, details, after = self.tree(x_BtD, state, ctx)
        y_BtD = self.mix[:, 0] * average + self.mix[:, -1] * x_BtD
        used, width = 1, 1
        for level, detail in enumerate(reversed(details)):
            width = min(width, self.memory - used)
            dilation = 1 if level == 0 else 2 ** (self.depth - level)
            past = detail.new_zeros(detail.shape[0], (width - 1) * dilation, detail.shape[2])
            near, _ = dilated_taps(detail, past, dilation=dilation)
            for tap, x in enumerate(reversed(near)):
                y_BtD = y_BtD + self.mix[:, used + tap] * x
            used += width
            if used >= self.memory:
                break
            width = 2 * (width - 1) + self.taps
        return y_BtD, after


class Net(nn.Module):
    """The source's classifier: encoder, blocks, a mean over steps, a linear map."""

    def __init__(self, encoder: nn.Module, backbone: Stack, out: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.backbone, self.out = encoder, backbone, out


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    get, flat = arguments.get, {k: _flat(k, v) for k, v in weights.items()}
    if source == "MultiresLayer":
        return fill(tree(arguments, flat["h0"].shape[1]).build(Place(arguments["d_model"])), renamed(flat, RULES))
    if source != "MultiresNet":
        raise Declined(f"source={source!r}: known are MultiresLayer and MultiresNet")
    dim = get("d_model", 256)
    named = {"seq_len": get("max_length"), "memory_size": get("d_mem"), **arguments}
    conv = tree(named, flat["seq_layers.0.h0"].shape[1])
    norm: Part[Norm] = part(BatchNorm) if get("batchnorm", False) else part(LayerNorm)
    block = part(PostNorm, parts=(part(MultiresLayer, conv=conv),), norm=norm)
    embedded = get("encoder", "linear") == "embedding"
    net = Net(
        nn.Embedding(arguments["n_tokens"], dim) if embedded else nn.Linear(arguments["d_input"], dim),
        part(Stack, depth=get("n_layers", 4), blocks=(block,)).build(Place(dim)),
        nn.Linear(dim, get("d_output", 10)),
    )
    rules = (
        *RULES,
        (r"^seq_layers\.(\d+)\.", r"backbone.blocks.\1.parts.0.conv."),
        (r"^mixing_layers\.(\d+)\.0\.", r"backbone.blocks.\1.parts.0.out."),
        (r"^norms\.(\d+)\.", r"backbone.blocks.\1.norms.0.norm."),
        (r"^output_mapping\.", "out."),
    )
    return fill(net, renamed(flat, rules))


def _flat(key: str, value: Tensor) -> Tensor:
    """Depthwise filters [D, 1, K] -> [D, K]; convolutions of one tap [E, D, 1] -> [E, D]."""
    if value.dim() < 3:
        return value
    return value[:, 0] if key.endswith(("h0", "h1")) else value[..., 0]


def tree(arguments: Mapping[str, Any], taps: int) -> Part[Recurrent]:
    depth = arguments.get("depth")
    if depth is None:
        depth = math.ceil(math.log2((arguments["seq_len"] - 1) / (taps - 1) + 1))
    if arguments.get("tree_select", "fading") == "uniform":
        return part(UniformTree, taps=taps, depth=depth, memory=arguments["memory_size"])
    return part(MultiresConv, taps=taps, depth=depth)


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if isinstance(loaded, MultiresConv):
        return {"y": F.gelu(loaded(x.mT)).mT}
    assert isinstance(loaded, Net)
    y = loaded.backbone(loaded.encoder(x.mT if x.is_floating_point() else x))[0].x
    if "lengths" not in inputs:
        return {"y": loaded.out(y.mean(1))}
    lengths = inputs["lengths"][:, None]
    real = x.new_ones(x.shape[0], y.shape[1]).cumsum(1) <= lengths
    return {"y": loaded.out((y * real[..., None]).sum(1) / lengths)}
