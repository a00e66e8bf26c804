"""ZixuanJiang/pre-rmsnorm-transformer: `torch/model.py`, classes `GPT` and `ViT`, and the norms of `torch/customized_layer.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.crms_norm import CRMSNorm
from sequary.blocks.norms import LayerNorm, NoNorm, Norm, RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.narrow_attention import NarrowAttention
from sequary.convert.weights import fill
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.edit.centre import centred
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.sized import SizedAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.language import LanguageModel
from sequary.tokens.symbols import Embedding

EPS = 1e-5
NORMS: Mapping[str, Part[Norm]] = {
    **dict.fromkeys(("pre-ln", "pre-apex-ln", "pre-customized-ln"), part(LayerNorm, eps=EPS, affine=False)),
    **dict.fromkeys(("pre-rms", "pre-apex-rms"), part(RMSNorm, eps=EPS)),
    **dict.fromkeys(("pre-crms", "pre-crms-same-dim"), part(CRMSNorm, eps=EPS)),
    "no-normalization": part(NoNorm),
}
METHODS = {"ln": ("pre-ln", False), "rms": ("pre-rms", True), "crms": ("pre-crms", False)}
"""Of the three models that one case of GPT holds, by the prefix of their weights: method and pre_rms_training."""

Loaded = dict[str, nn.Module]
"""Models by the name of their output; none for the norms."""


class ImageTransformer(nn.Module):
    """Patches (row, column, channel) and a class token; positions on the patches alone."""

    def __init__(self, arguments: Mapping[str, Any], backbone: Part[Stack], dim: int) -> None:
        super().__init__()
        (height, width), (self.down, self.right) = (_pair(arguments[n]) for n in ("image_size", "patch_size"))
        self.mean = arguments.get("pool", "cls") == "mean"
        self.patch = nn.Linear(arguments.get("channels", 3) * self.down * self.right, dim)
        self.places = nn.Parameter(torch.empty(1, height // self.down * (width // self.right), dim))
        self.first = nn.Parameter(torch.empty(1, 1, dim))
        self.backbone = backbone.build(Place(dim))
        self.out = nn.Linear(dim, arguments["num_classes"])

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """[B, classes]. The last norm treats tokens alone, so a mean is taken before it."""
        x = image_BCHW.unfold(2, self.down, self.down).unfold(3, self.right, self.right)
        x = x.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
        x = torch.cat((self.first.expand(len(x), -1, -1), self.patch(x) + self.places), 1)
        for block in self.backbone.blocks:
            x = block(x)
        assert isinstance(self.backbone.norm, Norm)
        return self.out(self.backbone.norm(x.mean(1) if self.mean else x[:, 0]))


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    if source == "layer_norm, rms_norm, crms_norm":
        return {}
    if source == "ViT":
        return {"logits": _image(arguments, weights)}
    if source != "GPT":
        raise Declined(f"source={source!r}: known are GPT, ViT and the three norms together")
    if "wte.weight" in weights:
        return {"logits": _language(arguments, weights, _method(arguments), arguments.get("pre_rms_training", False))}
    return {
        f"logits_{prefix}": _language(arguments, _within(weights, prefix), *how)
        for prefix, how in METHODS.items()
        if f"{prefix}.wte.weight" in weights
    }


def _within(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(f"{prefix}."): v for n, v in weights.items() if n.startswith(f"{prefix}.")}


def _method(arguments: Mapping[str, Any]) -> str:
    method = arguments.get("method", "pre-ln")
    if method not in NORMS:
        raise Declined(f"method={method!r}: known are {', '.join(NORMS)}")
    return method


def _pair(given: Any) -> tuple[int, int]:
    return (given, given) if isinstance(given, int) else (given[0], given[1])


def _width(arguments: Mapping[str, Any]) -> int:
    given = arguments.get("dim_head")
    return arguments["dim"] // arguments["heads"] if given is None else given


def _backbone(arguments: Mapping[str, Any], attention: Part[Mixer], method: str) -> tuple[Part[Stack], int]:
    """And the width of the stream, one less where it is compressed."""
    dim, hidden = arguments["dim"], arguments.get("mlp_dim")
    mlp = part(MLP, hidden=4 * dim if hidden is None else hidden)
    block = part(PreNorm, parts=(attention, mlp), norm=NORMS[method])
    stack = part(Stack, depth=arguments["depth"], blocks=(block,), norm=NORMS[method])
    return stack, dim - 1 if method == "pre-crms" else dim


def _language(arguments: Mapping[str, Any], weights: Mapping[str, Tensor], method: str, centre: bool) -> nn.Module:
    attention = part(SizedAttention, heads=arguments["heads"], width=_width(arguments), base=None)
    backbone, dim = _backbone(arguments, attention, method)
    model = part(
        LanguageModel,
        tokens=part(Embedding, vocab=arguments["vocab_size"], positions=arguments["max_seq_length"]),
        backbone=backbone,
        head=part(Categorical, vocab=arguments["vocab_size"], bias=True),
    ).build(Place(dim))
    ours = {"tokens.table.weight": weights["wte.weight"], "tokens.places.weight": weights["wpe.weight"]}
    ours |= {f"heads.main.out.{leaf}": weights[f"final_linear.{leaf}"] for leaf in ("weight", "bias")}
    return _filled(model, ours | _blocks(weights), method, centre)


def _image(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    method, centre = _method(arguments), arguments.get("pre_rms_training", False)
    backbone, dim = _backbone(
        arguments, part(NarrowAttention, heads=arguments["heads"], width=_width(arguments)), method
    )
    model = ImageTransformer(arguments, backbone, dim)
    ours = {"places": weights["pos_embedding"], "first": weights["cls_token"]}
    for leaf in ("weight", "bias"):
        ours |= {f"patch.{leaf}": weights[f"to_patch_embedding.1.{leaf}"], f"out.{leaf}": weights[f"mlp_head.1.{leaf}"]}
    if centre and "rms" in method and "crms" not in method:
        ours |= {n: ours[n] - ours[n].mean(-1, keepdim=True) for n in ("places", "first")}
        ours |= {n: ours[n] - ours[n].mean(0, keepdim=True) for n in ("patch.weight", "patch.bias")}
    return _filled(model, ours | _blocks(weights), method, centre)


def _blocks(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    layers = {int(n.split(".")[2]) for n in weights if n.startswith("transformer.layers.")}
    for layer in layers:
        theirs, ours = f"transformer.layers.{layer}", f"backbone.blocks.{layer}.parts"
        for leaf in ("weight", "bias"):
            joined = weights[f"{theirs}.1.to_qkv.{leaf}"].chunk(3)
            made |= {f"{ours}.0.qkv.{n}.{leaf}": value for n, value in zip("qkv", joined, strict=True)}
            made[f"{ours}.0.o.{leaf}"] = weights[f"{theirs}.1.to_out.{leaf}"]
            made[f"{ours}.1.up.{leaf}"] = weights[f"{theirs}.3.net.0.{leaf}"]
            made[f"{ours}.1.down.{leaf}"] = weights[f"{theirs}.3.net.2.{leaf}"]
    return made


def _filled(model: nn.Module, weights: dict[str, Tensor], method: str, centre: bool) -> nn.Module:
    """Centred where their linear maps are so at each forward; the weights of RMS norms are 1."""
    rewrite: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict
    if centre and NORMS[method].cls is RMSNorm:
        rewrite = centred
    like = next(iter(weights.values()))
    ones = {n: torch.ones_like(v, dtype=like.dtype) for n, v in model.state_dict().items() if n.endswith("norm.weight")}
    return fill(model, rewrite(weights) | ones)


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if not loaded:
        x, eps = inputs["x"], arguments.get("eps", EPS)
        norms = {"layer": part(LayerNorm, eps=eps, affine=False), "rms": part(RMSNorm, eps=eps)}
        every: Mapping[str, Part[Norm]] = {**norms, "crms": part(CRMSNorm, eps=eps)}
        return {name: norm.build(Place(x.shape[-1])).to(x.dtype)(x) for name, norm in every.items()}
    if "img" in inputs:
        return {name: model(inputs["img"]) for name, model in loaded.items()}
    return {name: _said(model, inputs["ids"]) for name, model in loaded.items()}


def _said(model: nn.Module, ids_BT: Tensor) -> Tensor:
    assert isinstance(model, LanguageModel)
    return model.head(model(Batch(values=ids_BT)).hidden)
