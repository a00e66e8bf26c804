"""subho406/agalite (JAX): `AttentionORLiTLayer` and `AGaLiTe` of src_pure, `RLTAttentionLayer` with its exact state of src."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.blocks.identity_map import IdentityMap
from sequary.blocks.norms import LayerNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.state import States
from sequary.mixers.linear.agalite import AGaLiTe, AGaLiTeState, GaLiTe, GaLiTeState
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.places import Places

EXACT = "RLTAttentionLayer"
GATE = {"branch": ("Wr", "Wz", "Wg"), "stream": ("Ur", "Uz"), "reset": ("Ug",)}


class Ending(AGaLiTe):
    """Terminations `ends` [T] are numbers in the source, 1 − e beside each decay, and have a derivative: −decay · h_{t-1}."""

    ends: Tensor | None = None

    def forget(
        self, x_BTCV: Tensor, keep_BTC: Tensor, S_BCV: Tensor, mask_BT: Tensor | None, begins_BT: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if self.ends is None:
            return super().forget(x_BTCV, keep_BTC, S_BCV, mask_BT, begins_BT)
        with torch.no_grad():
            h, _ = super().forget(x_BTCV, keep_BTC, S_BCV, mask_BT, begins_BT)
            lost = keep_BTC.exp()[..., None] * torch.cat((S_BCV[:, None], h[:, :-1]), 1)
        zero = (self.ends.detach() - self.ends)[None, :, None, None]
        return super().forget(x_BTCV + zero * lost, keep_BTC, S_BCV, mask_BT, begins_BT)


class Network(nn.Module):
    """A map with ReLU into the width, then blocks."""

    def __init__(self, arguments: Mapping[str, Any], inputs: int) -> None:
        super().__init__()
        get, dim = arguments.get, arguments["d_model"]
        sizes = {"heads": arguments["n_heads"], "width": arguments["d_head"], "expand": arguments["eta"]}
        attention = part(Ending, **sizes, oscillators=arguments["r"])
        mlp = part(MLP, hidden=arguments["d_ffc"], activation="relu")
        self.embed = nn.Sequential(nn.Linear(inputs, dim), nn.ReLU() if get("embedding_act", True) else nn.Identity())
        self.blocks = nn.ModuleList(
            IdentityMap(dim, parts=(attention, mlp), norm=part(LayerNorm, eps=1e-6))
            for _ in range(arguments["n_layers"])
        )


Loaded = AGaLiTe | GaLiTe | Network


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    if source == "AttentionORLiTLayer":
        heads, width, expand = (arguments[n] for n in ("head_num", "head_dim", "eta"))
        made = Ending(
            arguments["input_dim"],
            heads=heads,
            width=width,
            expand=expand,
            oscillators=arguments["r"],
            eps=arguments.get("eps", 1e-5),
        )
        return fill(made, _mixer(weights, "", heads))
    if source == "AGaLiTe":
        network = Network(arguments, weights["layer1.emb_layer.kernel"].shape[0])
        ours = _dense(weights, "layer1.emb_layer", "embed.0")
        for i in range(arguments["n_layers"]):
            ours |= _block(weights, f"layer{i + 1}.", f"blocks.{i}.", arguments["n_heads"])
        return fill(network, ours)
    if not source.startswith(EXACT):
        raise Declined(f"source={source!r}: known are AttentionORLiTLayer, AGaLiTe and {EXACT}")
    if arguments["update_rule"] != "projected_sigmoid":
        raise Declined(
            f"update_rule={arguments['update_rule']!r}: another recurrence than the paper's, projected_sigmoid"
        )
    if arguments.get("use_rotary_emb", True):
        raise Declined("use_rotary_emb=True: the source rotates the width of a head, its features are nu times as wide")
    sizes = {"heads": arguments["n_heads"], "width": arguments["d_head"], "expand": arguments["nu"]}
    return fill(GaLiTe(arguments["d_model"], **sizes, eps=1e-10), _exact(weights))


def _dense(weights: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    return {f"{ours}.weight": weights[f"{theirs}.kernel"].mT, f"{ours}.bias": weights[f"{theirs}.bias"]}


def _mixer(weights: Mapping[str, Tensor], at: str, heads: int) -> dict[str, Tensor]:
    """Heads first, then what is made of each: ours is the other way round."""
    found = _dense(weights, f"{at}project", "o")
    for theirs, ours, count in (("linear_kqvbetagammas", "inner", 5), ("linear_p1p2p3", "outer", 3)):
        for name, value in _dense(weights, at + theirs, ours).items():
            found[name] = value.reshape(heads, count, -1, *value.shape[1:]).transpose(0, 1).reshape(value.shape)
    return found


def _block(weights: Mapping[str, Tensor], theirs: str, ours: str, heads: int) -> dict[str, Tensor]:
    found = {f"{ours}parts.0.{n}": v for n, v in _mixer(weights, f"{theirs}AttentionORLiTLayer_0.", heads).items()}
    found |= _dense(weights, f"{theirs}Dense_0", f"{ours}parts.1.up")
    found |= _dense(weights, f"{theirs}Dense_1", f"{ours}parts.1.down")
    for i in range(2):
        found[f"{ours}norms.{i}.norm.weight"] = weights[f"{theirs}LayerNorm_{i}.scale"]
        found[f"{ours}norms.{i}.norm.bias"] = weights[f"{theirs}LayerNorm_{i}.bias"]
        gate = f"{theirs}GRUGatingUnit_{i}."
        found[f"{ours}meets.{i}.bias"] = weights[f"{gate}bgp"]
        for name, parts in GATE.items():
            found[f"{ours}meets.{i}.{name}.weight"] = torch.cat([weights[f"{gate}{p}.kernel"].mT for p in parts])
    return found


def _exact(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Maps of each head side by side; the query's first map and the two that follow it are one each."""

    def each(theirs: str) -> tuple[Tensor, Tensor]:
        return weights[f"{theirs}.kernel"], weights[f"{theirs}.bias"]

    def after(theirs: str) -> tuple[Tensor, Tensor]:
        (first, bias), (then, shift) = each("Dense_0"), each(theirs)
        return first @ then, (bias[:, None] @ then)[:, 0] + shift

    key, query, gamma = "csop.ParameteredProjection_0", "ParameteredProjection_0", "csop.ParameteredProjection_1"
    inner = (each(f"{key}.Dense_0"), after(f"{query}.Dense_0"), each("csop.Dense_0"), each("csop.Dense_1"),
             each(f"{gamma}.Dense_0"))  # fmt: skip
    outer = (each(f"{key}.Dense_1"), after(f"{query}.Dense_1"), each(f"{gamma}.Dense_1"))
    found = _dense(weights, "Dense_1", "o")
    for name, maps in (("inner", inner), ("outer", outer)):
        found[f"{name}.weight"] = torch.cat([kernel.mT.flatten(0, 1) for kernel, _ in maps])
        found[f"{name}.bias"] = torch.cat([bias.flatten() for _, bias in maps])
    return found


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """A termination opens another segment; ticks are not reset by it, so that positions are given."""
    x, resets = inputs["x"][None], (inputs["terminations"] > 0).long()
    acts = arguments.get("reset_hidden_on_terminate", arguments.get("reset_on_terminate", True))
    resets = resets if acts else torch.zeros_like(resets)
    for module in loaded.modules():
        if isinstance(module, Ending):
            module.ends = inputs["terminations"] if acts else None
    tick = int(arguments.get("tick", 1))
    ctx = Ctx(segments=resets.cumsum(0)[None], positions=torch.arange(len(resets))[None] + tick - 1)
    if isinstance(loaded, Network):
        return _network(loaded, x, ctx, arguments)
    none = torch.zeros(1, dtype=torch.long)
    if isinstance(loaded, GaLiTe):
        nu, width = arguments["nu"], arguments["d_head"]
        memory, total = (_turned(inputs[n], width, nu).reshape(1, -1) for n in ("C0", "s0"))
        y, after = loaded.step(x, GaLiTeState(memory, total, none), ctx)
        assert isinstance(after, GaLiTeState)
        memory, total = after.memory.view(inputs["C0"].shape), after.total.view(inputs["s0"].shape)
        return {"y": y[0], "C_last": _turned(memory, nu, width), "s_last": _turned(total, nu, width)}
    keys = torch.cat((inputs["tilde_k"].flatten(1), inputs["s"].flatten()[None])).mT[None]
    values = inputs["tilde_v"].flatten(1).mT[None]
    y, after = loaded.step(x, AGaLiTeState(keys, values, Places(none, none)), ctx)
    assert isinstance(after, AGaLiTeState)
    return {
        "y": y[0],
        "tilde_k_new": after.keys[0, :, :-1].mT.reshape(inputs["tilde_k"].shape),
        "tilde_v_new": after.values[0].mT.reshape(inputs["tilde_v"].shape),
        "s_new": after.keys[0, :, -1].view(inputs["s"].shape),
    }


def _turned(x: Tensor, first: int, then: int) -> Tensor:
    """Features of (head width, nu), the last axis, as (nu, head width), or back."""
    return x.reshape(*x.shape[:-1], first, then).mT.reshape(x.shape)


def _network(network: Network, x: Tensor, ctx: Ctx, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    y, found = network.embed(x), dict[str, Tensor]()
    heads, r = arguments["n_heads"], arguments["r"]
    for i, block in enumerate(network.blocks):
        assert isinstance(block, IdentityMap)
        y, state = block.step(y, block.init_state(1), ctx)
        assert isinstance(state, States)
        mixer = state.each[0]
        assert isinstance(mixer, AGaLiTeState)
        found[f"layer{i + 1}_tilde_k"] = mixer.keys[0, :, :-1].mT.reshape(r, heads, -1)
        found[f"layer{i + 1}_tilde_v"] = mixer.values[0].mT.reshape(r, heads, -1)
        found[f"layer{i + 1}_s"] = mixer.keys[0, :, -1].view(heads, -1)
    return {"y": y[0], **found}
