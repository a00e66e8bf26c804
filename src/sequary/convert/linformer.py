"""lucidrains/linformer 0.2.3 (a third-party package): `LinformerSelfAttention`, `Linformer` and `LinformerLM`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.backbones.two_streams import TwoStreams
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx, Memory
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.linformer import LinformerAttention, LinformerCrossAttention
from sequary.mixers.attention.pools import LearnedPool
from sequary.mixers.mlp.dense import MLP
from sequary.models.encoder import TokenEncoder
from sequary.tokens.symbols import Embedding

MIXER = (
    (r"\bto_(q|k|v)\.", r"inner.\1."),
    (r"\bto_out\.", "inner.o."),
    (r"\bproj_k$", "inner.keys.e"),
    (r"\bproj_v$", "inner.values.e"),
)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """`arguments`: dim, seq_len, k, heads, dim_head, one_kv_head, share_kv, and depth, reversible, num_tokens of the models."""
    ours = {k: v[None] if k.endswith(("proj_k", "proj_v")) else v for k, v in weights.items()}
    if source == "LinformerSelfAttention":
        return fill(part(LinformerAttention, **_mixer(arguments)).build(Place(arguments["dim"])), renamed(ours, MIXER))
    if source not in ("Linformer", "LinformerLM"):
        raise Declined(f"source={source!r}: known are LinformerSelfAttention, Linformer and LinformerLM")
    backbone = _backbone(arguments)
    if source == "Linformer":
        made = backbone.build(Place(arguments["dim"]))
        return fill(made, {k.removeprefix("backbone."): v for k, v in _ours(ours, arguments, "net.").items()})
    model = part(
        TokenEncoder,
        tokens=part(Embedding, vocab=arguments["num_tokens"], positions=arguments["seq_len"]),
        backbone=backbone,
        head=part(Categorical, vocab=arguments["num_tokens"], bias=True),
    )
    return fill(model.build(Place(arguments["dim"])), _ours(ours, arguments, "linformer.net."))


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if isinstance(loaded, TokenEncoder):
        return {"y": loaded.head(loaded(Batch(values=x)).hidden)}
    if isinstance(loaded, Backbone):
        return {"y": loaded(x)[-1].x}
    if "context" not in inputs:
        return {"y": loaded(x)}
    # One class of the source attends to itself or across, as its call says; ours are two, with the same weights.
    across = part(LinformerCrossAttention, **_mixer(arguments)).build(Place(arguments["dim"])).to(x.dtype).eval()
    across.load_state_dict(loaded.state_dict())
    return {"y": across(x, Ctx(memory=Memory(inputs["context"])))}


def _mixer(arguments: Mapping[str, Any]) -> dict[str, Any]:
    pool = part(LearnedPool, length=arguments["seq_len"], size=arguments.get("k", 256))
    shared, heads = arguments.get("share_kv", False), arguments.get("heads", 8)
    return {
        "length": arguments["seq_len"],
        "heads": heads,
        "keys": pool,
        "values": None if shared else pool,
        "key_width": arguments.get("dim_head"),
        "kv_heads": 1 if arguments.get("one_kv_head", False) else heads,
        "own_values": not shared,
    }


def _backbone(arguments: Mapping[str, Any]) -> Part[Backbone]:
    attention = cast("Part[LinformerAttention]", part(LinformerAttention, **_mixer(arguments)))
    depth = arguments["depth"]
    if arguments.get("reversible", False):
        return part(TwoStreams, depth=depth, pairs=((attention, part(MLP)),), merged="sum")
    return part(Stack, depth=depth, blocks=(part(PreNorm, parts=(attention, part(MLP)), norm=part(LayerNorm)),))


def _ours(weights: Mapping[str, Tensor], arguments: Mapping[str, Any], net: str) -> dict[str, Tensor]:
    """Layer n, half j is part j of block n of the stack, or part 2n + j of the two streams."""

    def at(kind: str, layer: str, half: str) -> str:
        if arguments.get("reversible", False):
            return f"backbone.{kind}.{2 * int(layer) + int(half)}."
        return f"backbone.blocks.{layer}.{kind}.{half}."

    slot = "^" + net.replace(".", r"\.") + r"(?:layers|blocks)\.(\d+)\.(\d)\."
    return renamed(
        weights,
        (
            (r"\.([fg])\.net\.", lambda m: ".0." if m[1] == "f" else ".1."),
            (slot + r"norm\.", lambda m: at("norms", m[1], m[2]) + "norm."),
            (slot + r"fn\.w1\.", lambda m: at("parts", m[1], m[2]) + "up."),
            (slot + r"fn\.w2\.", lambda m: at("parts", m[1], m[2]) + "down."),
            (slot + r"fn\.", lambda m: at("parts", m[1], m[2])),
            *MIXER,
            (r"^token_emb", "tokens.table"),
            (r"^pos_emb", "tokens.places"),
            (r"^to_logits", "heads.main.out"),
        ),
    )
