"""zeyuliu1037/LMUFormer: the cell `LMUFFTCell`, `Block`, the model `ConvLMU`, and the spiking mixer `SLMUMs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import BatchNorm, NoNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.conv.dense import ConvEmbedding
from sequary.mixers.mlp.normed import NormedMLP
from sequary.mixers.ssm.lmu import LMU, LegendreMemory
from sequary.ops.impulse import impulse
from sequary.ops.long_conv import long_conv

CELL = ((r"(^|\.)W_u\.", r"\1signal."), (r"(^|\.)W_h\.", r"\1read."), (r"(^|\.)B$", r"\1b"))
BLOCK = (
    *CELL,
    (r"attn\.lmu\.", "parts.0.memory."),
    (r"attn\.proj_conv\.", "parts.0.out."),
    (r"attn\.proj_bn\.", "parts.0.norm.norm."),
    (r"mlp\.fc1_conv\.", "parts.1.up."),
    (r"mlp\.fc2_conv\.", "parts.1.down."),
    (r"mlp\.fc1_bn\.", "parts.1.inner.norm."),
    (r"mlp\.fc2_bn\.", "parts.1.outer.norm."),
)
DROPPED = r"(^|\.)(H|fft_H)$"


class Net(nn.Module):
    """The source's classifier; its convolutions are centred."""

    def __init__(self, embed: ConvEmbedding, backbone: Stack, head: nn.Linear) -> None:
        super().__init__()
        self.embed, self.backbone, self.head = embed, backbone, head


class Spiking(nn.Module):
    """`SLMUMs`: leaky integrate-and-fire neurons along time, before the memory and on its signal, its coefficients and its output."""

    def __init__(self, dim: int, memory: int) -> None:
        super().__init__()
        self.before, self.out, self.after = BatchNorm(dim), nn.Linear(dim, dim), BatchNorm(dim)
        self.memory = LegendreMemory(dim, hidden=dim, memory=memory, window=1)
        self.norms = nn.ModuleDict({"u": BatchNorm(1), "m": BatchNorm(memory), "h": BatchNorm(dim)})

    def forward(self, x: Tensor) -> Tensor:
        x, cell = spikes(self.before(x), threshold=0.5), self.memory
        u = spikes(self.norms["u"](cell.signal(x)))
        m = spikes(self.norms["m"](long_conv(u, impulse(cell.A, cell.b, x.shape[1]))))
        h = spikes(self.norms["h"](cell.read(torch.cat((m, x), -1))))
        return self.after(self.out(h))


def spikes(x_BTD: Tensor, threshold: float = 1.0, tau: float = 2.0) -> Tensor:
    """v += (x − v) / τ; a spike where v reaches the threshold, and v starts again from 0."""
    v, found = torch.zeros_like(x_BTD[:, 0]), list[Tensor]()
    for x in x_BTD.unbind(1):
        v = v + (x - v) / tau
        fired = v >= threshold
        found.append(fired.to(x))
        v = v.masked_fill(fired, 0)
    return torch.stack(found, 1)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    flat = {k: v.flatten(1) if k.endswith(("conv.weight", ".B")) or k == "B" else v for k, v in weights.items()}
    flat = {k: v[:, 0] if k.split(".")[-1] == "B" else v for k, v in flat.items()}
    if source == "LMUFFTCell":
        hidden, memory = arguments["hidden_size"], arguments["memory_size"]
        cell = LegendreMemory(arguments["input_size"], hidden=hidden, memory=memory, window=arguments["theta"])
        return fill(cell, renamed(flat, CELL, drop=DROPPED))
    if source.startswith("Block"):
        ratio = arguments.get("mlp_ratio", 4.0)
        return fill(block(ratio).build(Place(arguments["dim"])), renamed(flat, BLOCK, drop=DROPPED))
    if source == "ConvLMU":
        return _net(arguments, weights, flat)
    if source == "SLMUMs":
        rules = (
            *CELL, (r"^lmu\.bn_(\w)\.", r"norms.\1.norm."), (r"^lmu\.", "memory."), (r"^prev_bn\.", "before.norm."),
            (r"^proj_bn\.", "after.norm."), (r"^proj_conv\.", "out."),
        )  # fmt: skip
        made = Spiking(arguments["dim"], flat["lmu.B"].shape[0])
        return fill(made, renamed(flat, rules, drop=DROPPED))
    raise Declined(f"source={source!r}: known are LMUFFTCell, Block, ConvLMU and SLMUMs")


def block(ratio: float) -> Part[PreNorm]:
    return part(PreNorm, parts=(part(LMU), part(NormedMLP, ratio=ratio)), norm=part(NoNorm))


def _net(arguments: Mapping[str, Any], weights: Mapping[str, Tensor], flat: Mapping[str, Tensor]) -> Net:
    dim, act = arguments["embed_dims"], arguments.get("act_type", "relu")
    if act != "relu":
        raise Declined(f"act_type={act!r}: of the spiking variants only the mixer SLMUMs is taken over")
    layers = 1 + max(int(k.split(".")[2]) for k in weights if k.startswith("patch_embed.conv_layers."))
    net = Net(
        ConvEmbedding(dim, layers=layers, ahead=1, inputs=arguments.get("in_channels", 1)),
        part(Stack, depth=arguments["depths"], blocks=(block(arguments["mlp_ratios"]),)).build(Place(dim)),
        nn.Linear(dim, arguments.get("num_classes", 35)),
    )
    rules = (
        (r"^patch_embed\.conv_layers\.(\d+)\.0\.weight", r"embed.convs.\1.weight"),
        (r"^patch_embed\.conv_layers\.(\d+)\.3\.", r"embed.norms.\1.norm."),
        (r"^patch_embed\.rpe_conv\.", "embed.last."),
        *BLOCK,
        (r"^block\.", "backbone.blocks."),
    )
    # A kernel [D, C, K] meets taps laid out tap by tap.
    taps = {
        k: v.transpose(1, 2).flatten(1) if k.startswith("patch_embed") and v.dim() == 3 else flat[k]
        for k, v in weights.items()
    }
    return fill(net, renamed(taps, rules, drop=DROPPED))


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if isinstance(loaded, LegendreMemory):
        m = loaded.remember(loaded.told(x), x.new_zeros(x.shape[0], len(loaded.b)), None, None)
        return {"h": loaded(x), "h_recurrent": loaded.heard(m, x), "m_last": m[:, -1]}
    if isinstance(loaded, Net):
        y = loaded.backbone(loaded.embed(x))[0].x
        count = torch.arange(1, x.shape[1] + 1)[:, None]
        prefix = loaded.head(y.cumsum(1) / count)
        return {"logits": loaded.head(y.mean(1)), "logits_prefix": prefix.transpose(0, 1)}
    return {"y": loaded(x.mT).mT}
