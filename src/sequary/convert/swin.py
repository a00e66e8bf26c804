"""microsoft/Swin-Transformer: `SwinTransformer` and `SwinTransformerBlock`; transformers: `SwinModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.backbones.downsample import PatchMerging
from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.chunks import chunked
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.window import WindowAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.tokens.patches2d import Patches

BLOCK = (
    (r"\bnorm([12])\.", lambda m: f"norms.{int(m[1]) - 1}.norm."),
    (r"\battn\.(q|k|v)\.", r"parts.0.qkv.\1."),
    (r"\battn\.proj\.", "parts.0.o."),
    (r"\battn\.relative_position_bias_table$", "parts.0.relative.table"),
    (r"\bmlp\.fc1\.", "parts.1.up."),
    (r"\bmlp\.fc2\.", "parts.1.down."),
)
MODEL = (
    (r"^patch_embed\.proj\.", "tokens.embed."),
    (r"^patch_embed\.norm\.", "tokens.norm."),
    (r"^absolute_pos_embed$", "tokens.places"),
    (r"^layers\.(\d+)\.blocks\.", r"backbone.stages.\1.blocks."),
    (r"^layers\.(\d+)\.downsample\.reduction\.", r"backbone.downs.\1.reduce."),
    (r"^layers\.(\d+)\.downsample\.norm\.", r"backbone.downs.\1.norm."),
    (r"^norm\.", "backbone.norm.norm."),
    (r"^head\.", "heads.main.out."),
)
# Names of released checkpoints, and of the module itself since transformers 5.
TRANSFORMERS = (
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^embeddings\.position_embeddings$", "absolute_pos_embed"),
    (r"^encoder\.layers", "layers"),
    (r"^layernorm\.", "norm."),
    (r"layernorm_before\.", "norm1."),
    (r"layernorm_after\.", "norm2."),
    (r"attention\.self\.(q|k|v)(?:uery|ey|alue)\.", r"attn.\1."),
    (r"attention\.(q|k|v)_proj\.", r"attn.\1."),
    (r"attention\.(?:self\.|relative_position_bias\.)relative", "attn.relative"),
    (r"attention\.(?:output\.dense|o_proj)\.", "attn.proj."),
    (r"intermediate\.dense\.", "mlp.fc1."),
    (r"(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
)
BUFFERS = r"relative_position_index$|attn_mask$"


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """An ImageClassifier, or for `SwinTransformerBlock` a block. Dropout rates, `fused_window_process` and `use_checkpoint`
    change nothing in eval; `SwinModel` takes its configuration as a dictionary."""
    if source == "SwinModel":
        return _model(_renamed_arguments(arguments), renamed(weights, TRANSFORMERS))
    if source == "SwinTransformerBlock":
        resolution = _pair(arguments["input_resolution"])
        made = _block(arguments, arguments["dim"], arguments["num_heads"], resolution, arguments.get("shift_size", 0))
        return fill(made.build(Place(arguments["dim"])), _ours(weights, BLOCK))
    if source != "SwinTransformer":
        raise Declined(
            f"source={source!r}: known are SwinTransformer, SwinTransformerBlock and transformers' SwinModel"
        )
    return _model(arguments, weights)


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if not isinstance(loaded, ImageClassifier):
        return {"y": loaded(inputs["x"], Ctx(grid=_pair(arguments["input_resolution"])))}
    patch = _pair(arguments.get("patch_size", 4))[0]
    # The source's convolution drops what the patch does not divide; our tokens would fill it up.
    image = inputs["img"][..., : inputs["img"].shape[-2] // patch * patch, : inputs["img"].shape[-1] // patch * patch]
    x, grid = loaded.tokens(image)
    outputs, ctx = {"embed": x}, Ctx(grid=grid)
    for number, stage in enumerate(loaded.backbone.stages):
        x = stage(x, ctx)[-1].x
        if number < len(loaded.backbone.downs):
            x, ctx = loaded.backbone.downs[number](x, ctx)
        outputs[f"stage{number}"] = x
    outputs["features"] = loaded.backbone.norm(x).mean(1)
    outputs["logits"] = loaded.head(outputs["features"])
    return outputs


def _model(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> ImageClassifier:
    size, patch = _pair(arguments.get("img_size", 224)), _pair(arguments.get("patch_size", 4))
    if patch[0] != patch[1]:
        raise Declined(f"patch_size={patch}: patches are square")
    width, depths = arguments.get("embed_dim", 96), arguments.get("depths", (2, 2, 6, 2))
    heads, window = arguments.get("num_heads", (3, 6, 12, 24)), arguments.get("window_size", 7)
    grid = (size[0] // patch[0], size[1] // patch[1])
    stages: list[Part[Stack]] = []
    for number, (depth, h) in enumerate(zip(depths, heads, strict=True)):
        here = (-(-grid[0] // 2**number), -(-grid[1] // 2**number))
        pair = tuple(_block(arguments, width * 2**number, h, here, shift) for shift in (0, window // 2))
        stages.append(part(Stack, depth=depth, blocks=pair))
    eps = arguments.get("layer_norm_eps", 1e-5)
    features, classes = width * 2 ** (len(depths) - 1), arguments.get("num_classes", 1000)
    model = part(
        ImageClassifier,
        tokens=part(Patches, channels=arguments.get("in_chans", 3), patch=patch[0], norm=arguments.get("patch_norm", True),
                    grid=grid if arguments.get("ape", False) else None),
        backbone=part(Pyramid, stages=tuple(stages), down=part(PatchMerging), norm=part(LayerNorm, eps=eps)),
        head=part(Categorical, vocab=classes or features, bias=True),
    )  # fmt: skip
    head: dict[str, Tensor] = {}
    if not classes:  # without a classifier the features are the answer
        like = next(iter(weights.values()))
        head = {
            "head.weight": torch.eye(features, dtype=like.dtype),
            "head.bias": torch.zeros(features, dtype=like.dtype),
        }
    return fill(model.build(Place(width)), _ours({**weights, **head}, (*MODEL, *BLOCK)))


def _block(arguments: Mapping[str, Any], dim: int, heads: int, resolution: tuple[int, int], shift: int) -> Part[Mixer]:
    """A window as wide as the smaller side is not shifted (the authors decide so for both axes at once)."""
    window = arguments.get("window_size", 7)
    if min(resolution) <= window:
        window, shift = min(resolution), 0
    if any(n % window for n in resolution):
        raise Declined(
            f"window_size={window}: does not divide the grid {resolution} of a stage; transformers then lets cells of "
            "padding take part as keys, ours masks them"
        )
    attention = part(
        WindowAttention,
        heads=heads,
        window=window,
        shift=shift,
        bias=arguments.get("qkv_bias", True),
        scale=arguments.get("qk_scale") or None,
    )
    mlp = part(MLP, hidden=int(dim * arguments.get("mlp_ratio", 4.0)))
    norm = part(LayerNorm, eps=arguments.get("layer_norm_eps", 1e-5))
    return part(PreNorm, parts=(attention, mlp), norm=norm)


def _ours(weights: Mapping[str, Tensor], rules: Any) -> dict[str, Tensor]:
    made = renamed(chunked(weights, {"qkv": ("q", "k", "v")}), rules, drop=BUFFERS)
    for name, value in made.items():
        if name.endswith("relative.table"):
            # Theirs is [(2w−1)², H] by query minus key, ours [H, 2w−1, 2w−1] by key minus query.
            side = round(value.shape[0] ** 0.5)
            made[name] = value.T.reshape(-1, side, side).flip(1, 2)
        elif name == "tokens.places":
            made[name] = value[0]
    return made


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _renamed_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """transformers' configuration in the authors' words."""
    if config.get("hidden_act", "gelu") != "gelu":
        raise Declined(f"hidden_act={config['hidden_act']!r}: only the exact gelu of the paper")
    sizes, patch = _pair(config.get("image_size", 224)), _pair(config.get("patch_size", 4))
    if any(n % p for n, p in zip(sizes, patch, strict=True)):
        raise Declined(
            f"image_size={config['image_size']}: patch_size does not divide it; transformers fills it up, the authors cut"
        )
    names = {"image_size": "img_size", "num_channels": "in_chans", "use_absolute_embeddings": "ape"}
    return {**{names.get(k, k): v for k, v in config.items()}, "num_classes": 0}
