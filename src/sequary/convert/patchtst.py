"""yuqinie98/PatchTST: the supervised `PatchTST_supervised/models/PatchTST.py:Model` and the self-supervised `PatchTST`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.backbones.residual_scores import ResidualScores
from sequary.backbones.stack import Stack
from sequary.blocks.norms import BatchNorm, LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.convert.declined import Declined
from sequary.convert.patchtst_encoder import SourceEncoder
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.contracts import Backbone, Head, Model
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.patches import LastPatchClass, LastPatchValues, PatchValues, WindowPatches
from sequary.heads.points import HorizonPoints
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.decomposed import Decomposed
from sequary.models.forecaster import Forecaster
from sequary.models.patches import PatchEncoder
from sequary.tokens.revin import RevIN, RevINLast
from sequary.tokens.series import ChannelPatches, InstanceNorm, NoScale

SCORES: tuple[Rule, ...] = (
    (r"layers\.(\d+)\.self_attn\.W_(Q|K|V)", lambda m: f"qkv.{m[1]}.{m[2].lower()}"),
    (r"layers\.(\d+)\.self_attn\.to_out\.0", lambda m: f"o.{m[1]}"),
    (r"layers\.(\d+)\.ff\.0", lambda m: f"mlp.{m[1]}.up"),
    (r"layers\.(\d+)\.ff\.3", lambda m: f"mlp.{m[1]}.down"),
    (r"layers\.(\d+)\.norm_attn(\.1)?", lambda m: f"norms.{2 * int(m[1])}.norm"),
    (r"layers\.(\d+)\.norm_ffn(\.1)?", lambda m: f"norms.{2 * int(m[1]) + 1}.norm"),
)
PLAIN: tuple[Rule, ...] = (
    (r"layers\.(\d+)\.self_attn\.W_(Q|K|V)", lambda m: f"blocks.{m[1]}.parts.0.qkv.{m[2].lower()}"),
    (r"layers\.(\d+)\.self_attn\.to_out\.0", lambda m: f"blocks.{m[1]}.parts.0.o"),
    (r"layers\.(\d+)\.ff\.0", lambda m: f"blocks.{m[1]}.parts.1.up"),
    (r"layers\.(\d+)\.ff\.3", lambda m: f"blocks.{m[1]}.parts.1.down"),
    (r"layers\.(\d+)\.norm_attn(\.1)?", lambda m: f"blocks.{m[1]}.norms.0.norm"),
    (r"layers\.(\d+)\.norm_ffn(\.1)?", lambda m: f"blocks.{m[1]}.norms.1.norm"),
)
DROP = r"num_batches_tracked|sdp_attn\.scale"


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    return _self_supervised(arguments, weights) if source.endswith("PatchTST") else _supervised(arguments, weights)


def replay(loaded: Model, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if not isinstance(loaded, PatchEncoder):
        assert isinstance(loaded, Forecaster | Decomposed)
        return {"y": loaded.mean(loaded(Batch(values=x)))}
    y = loaded.head(loaded(Batch(values=x.flatten(2))).hidden)
    return {"y": y.unflatten(2, x.shape[2:]) if isinstance(loaded.head, PatchValues) else y}


def _encoder(a: Mapping[str, Any], depth: int, weights: Mapping[str, Tensor]) -> Part[Backbone]:
    if a["d_model"] % a["n_heads"]:
        raise Declined(f"n_heads={a['n_heads']}: does not divide d_model={a['d_model']}, which the source refuses too")
    # The source's outer class drops its `norm` argument on the way to the layers, so the weights say which norm there is.
    norm = part(BatchNorm) if any(k.endswith("running_mean") for k in weights) else part(LayerNorm)
    act = str(a.get("act", "gelu")).lower()
    if act not in ("relu", "gelu"):
        raise Declined(f"act={act!r}: the source knows relu and gelu")
    mlp = part(MLP, hidden=a.get("d_ff", 256), activation="relu" if act == "relu" else "gelu")
    even = a["d_model"] // a["n_heads"]
    key, value = (a.get(n) or even for n in ("d_k", "d_v"))
    if _odd(a):
        carried, pre = a.get("res_attention", True), a.get("pre_norm", False)
        widths = {"heads": a["n_heads"], "key": key, "value": value}
        return part(SourceEncoder, depth=depth, **widths, mlp=mlp, norm=norm, carried=carried, pre_norm=pre)
    if a.get("res_attention", True):
        return part(ResidualScores, depth=depth, heads=a["n_heads"], mlp=mlp, norm=norm)
    block = part(PostNorm, parts=(part(Attention, heads=a["n_heads"]), mlp), norm=norm)
    return part(Stack, depth=depth, blocks=(block,))


def _odd(a: Mapping[str, Any]) -> bool:
    """Whether the layers are such as our blocks are not."""
    even = a["d_model"] // a["n_heads"]
    return bool(a.get("pre_norm", False)) or any((a.get(n) or even) != even for n in ("d_k", "d_v"))


def _layers(a: Mapping[str, Any]) -> tuple[Rule, ...]:
    return SCORES if a.get("res_attention", True) or _odd(a) else PLAIN


def _supervised(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    """`arguments`: those of `configs`, and the constructor's own (norm, act, res_attention, pre_norm …)."""
    if a.get("pretrain_head", False):
        raise Declined("pretrain_head=True: the source's forward then returns no forecast")
    if a.get("decomposition", False) and a["kernel_size"] % 2 == 0:
        raise Declined(f"kernel_size={a['kernel_size']}: the source's average is then a step shorter than the series")
    padded = a.get("padding_patch", "end") == "end"
    count = (a["seq_len"] - a["patch_len"]) // a["stride"] + (2 if padded else 1)
    affine = a["enc_in"] if a.get("affine", True) else None
    if not a.get("revin", True):
        scale = part(NoScale)
    elif a.get("subtract_last", False):
        scale = part(RevINLast, channels=affine)
    else:
        scale = part(InstanceNorm) if affine is None else part(RevIN, channels=affine)
    own = a["enc_in"] if a.get("individual", False) else None
    net = part(
        Forecaster,
        scale=scale,
        tokens=part(ChannelPatches, context=a["seq_len"], patch=a["patch_len"], stride=a["stride"], padded=padded),
        backbone=_encoder(a, a["e_layers"], weights),
        head=part(HorizonPoints, horizon=a["pred_len"], tokens=count, own=own),
    )
    if not a.get("decomposition", False):
        return fill(net.build(Place(a["d_model"])), _network(a, weights, "model.", count))
    pair = part(Decomposed, trend=net, remainder=net, kernel=a["kernel_size"]).build(Place(a["d_model"]))
    halves = {"trend": "model_trend.", "remainder": "model_res."}
    named = {ours: _network(a, weights, theirs, count) for ours, theirs in halves.items()}
    return fill(pair, {f"{ours}.{k}": v for ours, half in named.items() for k, v in half.items()})


def _network(a: Mapping[str, Any], weights: Mapping[str, Tensor], prefix: str, count: int) -> dict[str, Tensor]:
    """The tensors of one forecaster, in our names."""
    mine = {
        k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix) and not k.startswith(f"{prefix}head.")
    }
    rules = (
        *_layers(a),
        (r"^revin_layer\.affine_", "scale."),
        (r"^backbone\.W_P", "tokens.embed"),
        (r"^backbone\.W_pos", "tokens.positions"),
        (r"^backbone\.encoder\.", "backbone."),
    )
    ours = renamed(mine, rules, DROP)
    ours["tokens.positions"] = ours["tokens.positions"].expand(count, a["d_model"])
    names = [f"linears.{c}" for c in range(a["enc_in"])] if a.get("individual", False) else ["linear"]
    maps = [
        weights[f"{prefix}head.{n}.weight"].unflatten(1, (a["d_model"], count)).transpose(1, 2).flatten(1)
        for n in names
    ]
    biases = [weights[f"{prefix}head.{n}.bias"] for n in names]
    single = not a.get("individual", False)
    return ours | {
        "heads.main.out.weight": maps[0] if single else torch.stack(maps),
        "heads.main.out.bias": biases[0] if single else torch.stack(biases),
    }


def _self_supervised(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    a = {"d_model": 128, "n_heads": 16} | dict(a)
    individual = a.get("head_type", "prediction") == "prediction" and a.get("individual", False)
    model = part(
        PatchEncoder,
        channels=a["c_in"],
        patch=a["patch_len"],
        patches=a["num_patch"],
        backbone=_encoder(a, a.get("n_layers", 3), weights),
        head=_head(a),
        own_embedding=not a.get("shared_embedding", True),
    ).build(Place(a["d_model"]))
    rules = (
        *_layers(a),
        (r"^backbone\.W_P(?=\.(weight|bias))", "embed.0"),
        (r"^backbone\.W_P\.(\d+)", r"embed.\1"),
        (r"^backbone\.W_pos", "positions"),
        (r"^backbone\.encoder\.", "backbone."),
        (r"^head\.linear", "heads.main.out"),
    )
    ours = renamed(weights, rules, rf"{DROP}|head\.linears")
    ours["positions"] = ours["positions"].expand(a["num_patch"], a["d_model"])
    if individual:
        for leaf in ("weight", "bias"):
            own = [weights[f"head.linears.{c}.{leaf}"] for c in range(a["c_in"])]
            ours[f"heads.main.out.{leaf}"] = torch.stack(own)
    return fill(model, ours)


def _head(a: Mapping[str, Any]) -> Part[Head]:
    match a.get("head_type", "prediction"):
        case "pretrain":
            return part(PatchValues, patch=a["patch_len"])
        case "classification":
            return part(LastPatchClass, channels=a["c_in"], classes=a["target_dim"])
        case "regression":
            bounds = tuple(a["y_range"]) if a.get("y_range") else None
            return part(LastPatchValues, channels=a["c_in"], outputs=a["target_dim"], bounds=bounds)
        case "prediction":
            own = a["c_in"] if a.get("individual", False) else None
            return part(WindowPatches, patches=a["num_patch"], horizon=a["target_dim"], own=own)
        case other:
            raise Declined(f"head_type={other!r}: the source has no such head")
