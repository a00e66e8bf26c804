"""facebookresearch/mega: `MultiHeadEMA`, `MovingAverageGatedAttention` and `MegaSentenceEncoderLayer`. Tensors there are time-first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.chain import Chain
from sequary.blocks.mega import Mega
from sequary.blocks.norms import NoNorm, Norm
from sequary.blocks.postnorm import PostNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.mega_parts import ACTIVATIONS, NORMS, WEIGHS, Named, NarrowAngles
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.position_bias import PositionBias, TableBias
from sequary.mixers.attention.single_head import SingleHead
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.ssm.moving_average import MovingAverage, SkippedAverage, TwoSidedAverage
from sequary.ops.long_conv import long_conv


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    get = arguments.get
    if source == "MultiHeadEMA":
        width, two = arguments["embed_dim"], get("bidirectional", False)
        layer = average(get("ndim", 2), two).build(Place(width))
        return fill(layer, _averages({f"move.{k}": v for k, v in weights.items()}, "move.", "", two))
    if source == "MovingAverageGatedAttention":
        width, two = arguments["embed_dim"], get("bidirectional", False)
        made = block(arguments, two, key=arguments["zdim"], hidden=arguments["hdim"], states=arguments["ndim"])
        return fill(made.build(Place(width)), _block(weights, arguments, "", "", width, two))
    if source == "MegaSentenceEncoderLayer":
        return _layer(arguments, weights)
    raise Declined(f"source={source!r}: known are MultiHeadEMA, MovingAverageGatedAttention, MegaSentenceEncoderLayer")


def average(states: int, two_sided: bool) -> Part[SkippedAverage]:
    sides = part(TwoSidedAverage, states=states) if two_sided else part(MovingAverage, states=states)
    return part(SkippedAverage, average=sides)


def block(arguments: Mapping[str, Any], two_sided: bool, *, key: int, hidden: int, states: int) -> Part[Mega]:
    get = arguments.get
    chunk, longest = get("chunk_size", -1), get("max_positions", 1024)
    longest = longest if chunk < 0 else chunk
    bias: Part[PositionBias] = part(TableBias, span=longest)
    if get("rel_pos_bias", "simple") == "rotary":
        bias = part(NarrowAngles, longest=longest, chunked=chunk > 0)
    read = part(
        SingleHead,
        causal=not two_sided,
        chunk=None if chunk < 0 else chunk,
        bias=bias,
        weigh=WEIGHS[get("attention_activation", "softmax")],
    )
    norm: Part[Norm] = NORMS[get("norm_type", "layernorm")]
    return part(
        Mega,
        key=key,
        hidden=hidden,
        average=average(states, two_sided),
        read=read,
        activation=ACTIVATIONS[get("activation", "silu")],
        norm=norm if get("prenorm", True) else part(NoNorm),
        after=part(NoNorm) if get("prenorm", True) else norm,
    )


def _layer(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Chain:
    get, width = arguments.get, arguments.get("embedding_dim", 512)
    parts: list[Part[Any]] = [
        block(arguments, True, key=get("z_dim", 128), hidden=get("hidden_dim", 1024), states=get("n_dim", 16))
    ]
    made = _block(weights, arguments, "mega_layer.", "parts.0.", width, True)
    wide = get("ffn_hidden_dim", 1024)
    if wide:
        mlp = part(ActivatedMLP, activation=part(Named, name=get("activation", "silu")), hidden=wide, bias=True)
        kind = PreNorm if get("prenorm", True) else PostNorm
        parts.append(part(kind, parts=(mlp,), norm=NORMS[get("norm_type", "layernorm")]))
        rules = (
            (r"^nffn\.fc1", "parts.1.parts.0.up"),
            (r"^nffn\.fc2", "parts.1.parts.0.down"),
            *_norm(width, "nffn.", "parts.1.norms.0."),
        )
        made |= _widened(renamed(weights, rules, drop=r"^mega_layer\."), width)
    return fill(part(Chain, parts=tuple(parts)).build(Place(width)), made)


def _block(
    weights: Mapping[str, Tensor], arguments: Mapping[str, Any], theirs: str, ours: str, width: int, two_sided: bool
) -> dict[str, Tensor]:
    own = {k: v for k, v in weights.items() if k.startswith(theirs)}
    at, to = re.escape(theirs), ours
    rules = (
        (rf"^{at}v_proj", f"{to}v"),
        (rf"^{at}mx_proj", f"{to}mixed"),
        (rf"^{at}h_proj", f"{to}out"),
        (rf"^{at}gamma$", f"{to}scale"),
        (rf"^{at}beta$", f"{to}shift"),
        (rf"^{at}rel_pos_bias\.rel_pos_bias$", f"{to}read.bias.relative.table"),
        (rf"^{at}rel_pos_bias\.", f"{to}read.bias."),
        *_norm(width, theirs, f"{to}{'norm' if arguments.get('prenorm', True) else 'after'}."),
    )
    made = _widened(renamed(own, rules, drop=r"_float_tensor$|\.?move\."), width)
    table = f"{ours}read.bias.relative.table"
    for name in (table, f"{ours}read.bias.alpha", f"{ours}read.bias.beta"):
        if name in made:
            made[name] = made[name][None] if name == table else made[name][0]
    return made | _averages(own, f"{theirs}move.", f"{ours}average.", two_sided)


def _norm(width: int, theirs: str, ours: str) -> tuple[Rule, ...]:
    return ((rf"^{re.escape(theirs)}norm\.norm\.(scalar$)?", lambda m: f"{ours}norm.{'weight' if m[1] else ''}"),)


def _widened(made: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    """ScaleNorm has one number for all features: an RMS norm with equal weights."""
    return {k: v.expand(width) if k.endswith("norm.weight") and v.numel() == 1 else v for k, v in made.items()}


def _averages(weights: Mapping[str, Tensor], theirs: str, ours: str, two_sided: bool) -> dict[str, Tensor]:
    """The source's delta weighs what comes in, alpha what is lost with it: the paper's names are the other way round."""
    made = {f"{ours}omega": weights[f"{theirs}omega"]}
    for name, own in {"delta": "alpha", "alpha": "delta", "beta": "beta", "gamma": "eta"}.items():
        value = weights[theirs + name].flatten(1)
        sides = zip(("past.", "future."), value.chunk(2), strict=True) if two_sided else [("", value)]
        made |= {f"{ours}average.{side}{own}": half for side, half in sides}
    return made


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"].transpose(0, 1)
    padding = inputs.get("padding_mask")
    real = None if padding is None else ~padding.bool()
    y = _run(loaded, x, real, arguments.get("truncation"))
    return {"y": y.transpose(0, 1)}


def _run(module: nn.Module, x: Tensor, real: Tensor | None, truncation: int | None) -> Tensor:
    if isinstance(module, SkippedAverage):
        return _smoothed(module, x, real, truncation)
    if isinstance(module, Mega):
        y = module.norm(x)
        # The source counts places at padding too, and says something there: so must what is compared with it.
        at = torch.arange(x.shape[1]).expand(x.shape[:2])
        ctx = Ctx(mask=real, positions=None if real is None else at)
        m = _smoothed(module.average, y, real, truncation)
        return module.gated(x, y, m, lambda q, k, v: module.read(q, k, v, ctx), ctx)
    assert isinstance(module, Chain)
    mega, *rest = module.parts
    x = _run(mega, x, real, truncation)
    return rest[0](x) if rest else x


def _smoothed(layer: nn.Module, x: Tensor, real: Tensor | None, truncation: int | None) -> Tensor:
    """Time passes at padding, where zeros come in; kernels end after `truncation` steps."""
    assert isinstance(layer, SkippedAverage)
    seen = x if real is None else x * real[..., None]

    def past(side: MovingAverage, x: Tensor) -> Tensor:
        kernel = side.kernel(x.shape[1])
        lag = torch.arange(len(kernel))[:, None]
        return long_conv(x, kernel * (lag < truncation) if truncation else kernel)

    sides = layer.average
    if isinstance(sides, TwoSidedAverage):
        y = past(sides.past, seen) + past(sides.future, seen.flip(1)).flip(1)
    else:
        assert isinstance(sides, MovingAverage)
        y = past(sides, seen)
    return F.silu(y + layer.omega * x)
