"""opendilab/DI-engine: `ding/torch_utils/network/gtrxl.py`, classes `GTrXL` and `GRUGatingUnit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.blocks.identity_map import GRUGate, Meeting, Sum
from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.mixers.attention.projection import split
from sequary.mixers.attention.segment_memory import SegmentMemoryAttention

ACTIVATIONS = {
    "ReLU": nn.ReLU,
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
    "Tanh": nn.Tanh,
    "LeakyReLU": nn.LeakyReLU,
    "ELU": nn.ELU,
}


class Layer(nn.Module):
    """Its queries read the stream before the norm; every linear map of its feed-forward is followed by the activation."""

    def __init__(self, dim: int, arguments: Mapping[str, Any], activation: nn.Module) -> None:
        super().__init__()
        get = arguments.get
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.attention = SegmentMemoryAttention(
            dim, heads=get("head_num", 2), width=get("head_dim", 128), memory=get("memory_len", 64), bias=True
        )
        self.mlp = nn.ModuleList(nn.Linear(dim, dim) for _ in range(get("mlp_num", 2)))
        self.meets = nn.ModuleList(_meeting(dim, arguments) for _ in range(2))
        self.activation = activation

    def forward(self, x_BTD: Tensor, memory_BMD: Tensor) -> Tensor:
        mixer, batch = self.attention, len(x_BTD)
        source = self.norms[0](torch.cat((memory_BMD, x_BTD), 1))
        at = torch.arange(source.shape[1]).expand(batch, -1)
        now = at[:, memory_BMD.shape[1] :]
        q = split(mixer.qkv.q(x_BTD), mixer.heads)
        k, v = split(mixer.qkv.k(source), mixer.heads), split(mixer.qkv.v(source), mixer.heads)
        y = self.activation(mixer.read(q, k, v, now, at, at[:, None, :] <= now[:, :, None]))
        x_BTD = self.meets[0](x_BTD, y)
        y = self.norms[1](x_BTD)
        for linear in self.mlp:
            y = self.activation(linear(y))
        return self.meets[1](x_BTD, y)


class Network(nn.Module):
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        dim = arguments.get("embedding_dim", 256)
        activation = _activation(arguments.get("activation", "ReLU"))
        embeds = arguments.get("use_embedding_layer", True)
        self.embed = nn.Sequential(nn.Linear(_inputs(arguments), dim), activation) if embeds else nn.Identity()
        self.layers = nn.ModuleList(Layer(dim, arguments, activation) for _ in range(arguments.get("layer_num", 3)))

    def forward(self, x_BTF: Tensor, memory_LBMD: Tensor) -> tuple[Tensor, Tensor]:
        """And the memory afterwards, without gradient: of each layer's input, and of the last output."""
        hidden = [self.embed(x_BTF)]
        for layer, memory in zip(self.layers, memory_LBMD, strict=False):
            hidden.append(layer(hidden[-1], memory))
        kept = memory_LBMD.shape[2]
        joined = torch.cat((memory_LBMD, torch.stack(hidden)), 2).detach()
        return hidden[-1], joined[:, :, joined.shape[2] - kept :]


def _meeting(dim: int, arguments: Mapping[str, Any]) -> Meeting:
    return GRUGate(dim) if arguments.get("gru_gating", True) else Sum(dim)


def _inputs(arguments: Mapping[str, Any]) -> int:
    given = arguments["input_dim"]
    return int(torch.tensor(given).prod())


def _activation(given: str) -> nn.Module:
    name = given.removeprefix("nn.").removesuffix("()")
    if name not in ACTIVATIONS:
        raise Declined(f"activation={given!r}: known are {', '.join(ACTIVATIONS)} with their defaults")
    return ACTIVATIONS[name]()


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Network | GRUGate:
    if source == "GRUGatingUnit":
        return fill(GRUGate(arguments["input_dim"]), _gate(weights, "", ""))
    if source != "GTrXL":
        raise Declined(f"source={source!r}: known are GTrXL and GRUGatingUnit")
    made = Network(arguments)
    ours: dict[str, Tensor] = {}
    if arguments.get("use_embedding_layer", True):
        ours |= {f"embed.0.{leaf}": weights[f"embedding.0.{leaf}"] for leaf in ("weight", "bias")}
    for i in range(len(made.layers)):
        ours |= _layer(weights, f"layers.{i}.", arguments)
    return fill(made, ours)


def _layer(weights: Mapping[str, Tensor], at: str, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """`project_pos.bias` is left out: it adds the same to all scores of a query. u and v are shared by the layers."""
    ours = {f"{at}attention.r.weight": weights[f"{at}attention.project_pos.0.weight"]}
    ours |= {f"{at}attention.{n}": weights[n][:, None] for n in ("u", "v")}
    linears = [n for n in weights if n.startswith(f"{at}mlp.") and n.endswith(".weight")]
    mlp = sorted(linears, key=lambda name: int(name.split(".")[3]))
    for leaf in ("weight", "bias"):
        k, v = weights[f"{at}attention.attention_kv.0.{leaf}"].chunk(2)
        ours |= {f"{at}attention.qkv.k.{leaf}": k, f"{at}attention.qkv.v.{leaf}": v}
        ours[f"{at}attention.qkv.q.{leaf}"] = weights[f"{at}attention.attention_q.0.{leaf}"]
        ours[f"{at}attention.o.{leaf}"] = weights[f"{at}attention.project.0.{leaf}"]
        ours |= {f"{at}norms.{i}.{leaf}": weights[f"{at}layernorm{i + 1}.{leaf}"] for i in range(2)}
        ours |= {f"{at}mlp.{i}.{leaf}": weights[name.replace("weight", leaf)] for i, name in enumerate(mlp)}
    if arguments.get("gru_gating", True):
        for i in range(2):
            ours |= _gate(weights, f"{at}gate{i + 1}.", f"{at}meets.{i}.")
    return ours


def _gate(weights: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    return {
        f"{ours}branch.weight": torch.cat([weights[f"{theirs}W{n}.weight"] for n in "rzg"]),
        f"{ours}stream.weight": torch.cat([weights[f"{theirs}U{n}.weight"] for n in "rz"]),
        f"{ours}reset.weight": weights[f"{theirs}Ug.weight"],
        f"{ours}bias": weights[f"{theirs}bg"],
    }


def replay(loaded: Network | GRUGate, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """x [S, B, F] and the memory [layers + 1, M, B, D] come time first."""
    if isinstance(loaded, GRUGate):
        return {"g": loaded(inputs["x"], inputs["y"])}
    x, memory = inputs["x"].transpose(0, 1), inputs["memory"].transpose(1, 2)
    found = {"y_zero_memory": loaded(x, torch.zeros_like(memory))[0]}
    found["y"], after = loaded(x, memory)
    found |= {"memory_after": after}
    if "x2" in inputs:
        found["y2"], found["memory_after2"] = loaded(inputs["x2"].transpose(0, 1), after)
    return {n: t.transpose(1, 2) if n.startswith("memory") else t.transpose(0, 1) for n, t in found.items()}
