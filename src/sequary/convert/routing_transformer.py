"""routing_transformer 1.6.1 (lucidrains, a third-party package): `KmeansAttention` and `RoutingTransformerLM`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.backbones.two_streams import TwoStreams
from sequary.blocks.norms import LayerNorm, NoNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.routing_host import Around, FeedForward, Narrow, NarrowHead, ScaleNorm
from sequary.convert.routing_parts import Clusters, Local, PackageAttention
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Backbone, Mixer
from sequary.core.ctx import Memory, Tape
from sequary.core.part import Part, Tied, part
from sequary.core.values import Batch
from sequary.models.encoder import TokenEncoder

LAYER = r"^routing_transformer\.(?:fn\.)?layers\.(?:layers|blocks)\.(\d+)\."
"""Up to the number of a pair of attention and feed-forward."""


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Clusters | TokenEncoder:
    """`arguments` of either class; dropout, the rate of the moving average, ff_mult and ff_chunks have no effect on what is computed."""
    for name, value in weights.items():
        if name.endswith("kmeans.initted") and not value:
            raise Declined(f"{name}=False: the source draws its centroids from its first input")
    if source == "KmeansAttention":
        get, window = arguments.get, arguments["window_size"]
        made = Clusters(
            weights["kmeans.means"], weights["mem_key"].shape[2], window=window,
            other_window=get("context_window_size") or window, causal=get("causal", False),
            shared=get("shared_qk", False), context=get("receives_context", False), commitment=get("commitment", 1e-4),
        )  # fmt: skip
        return fill(made, renamed(weights, MEMORIES, r"initted$"))
    if source != "RoutingTransformerLM":
        raise Declined(f"source={source!r}: known are KmeansAttention and RoutingTransformerLM")
    for name in ("pkm_layers", "moe_layers"):
        if arguments.get(name):
            raise Declined(f"{name}={arguments[name]!r}: a layer of another package")
    if arguments.get("return_embeddings"):
        raise Declined("return_embeddings=True: leaves no head")
    if arguments.get("ff_activation") is not None:
        raise Declined(f"ff_activation={arguments['ff_activation']!r}: only the default, gelu")
    return fill(_model(arguments, weights), _renamed(arguments, weights))


MEMORIES = ((r"mem_(key|value)$", r"\1"), (r"kmeans\.means$", "means"))


def _model(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> TokenEncoder:
    width, period = a.get("emb_dim") or a["dim"], 2 if a.get("receives_context") else 1
    count = a["depth"] * period
    pairs = [_pair(a, weights, i) for i in range(period if a.get("weight_tie") else count)]
    norm = part(NoNorm) if a.get("use_rezero") else part(ScaleNorm) if a.get("use_scale_norm") else part(LayerNorm)
    backbone: Part[Backbone] = (
        part(TwoStreams, depth=count, pairs=tuple(pairs), norms=(norm,))
        if a.get("reversible")
        else part(Stack, depth=count, blocks=tuple(part(PreNorm, parts=pair, norm=norm) for pair in pairs))
    )
    return TokenEncoder(
        a["dim"],
        tokens=part(Narrow, vocab=a["num_tokens"], width=width),
        backbone=backbone,
        head=part(NarrowHead, vocab=a["num_tokens"], width=width, bias=not a.get("tie_embedding", False)),
    )


def _pair(a: Mapping[str, Any], weights: Mapping[str, Tensor], index: int) -> tuple[Part[Mixer], Part[Mixer]]:
    """Layer `index`: attention (with a context, every second one reads that) and feed-forward."""
    context = bool(a.get("receives_context")) and index % 2 == 1
    near = a.get("n_local_attn_heads", 0)
    near = near[index // 2 if a.get("receives_context") else index] if isinstance(near, list | tuple) else near
    near = 0 if context else near
    found = {
        k.rpartition("_attn.")[2]: v for k, v in weights.items() if (m := re.search(LAYER, k)) and int(m[1]) == index
    }
    attention = _attention(a, found, near, context, None if context else weights["sinu_pos_emb.emb"])
    feed: Part[Mixer] = part(FeedForward, gated=a.get("ff_glu", False))
    if a.get("weight_tie"):
        attention, feed = Tied(f"attention {context}", attention), Tied(f"feed-forward {context}", feed)
    shifts = ((0, 1) if a.get("causal") else (-1, 0, 1)) if a.get("shift_tokens") else ()
    if not _around(a):
        return attention, feed
    first, second = (part(Around, part=p, shifts=shifts, weighted=bool(a.get("use_rezero"))) for p in (attention, feed))
    return first, second


def _attention(
    a: Mapping[str, Any], found: Mapping[str, Tensor], near: int, context: bool, turns: Tensor | None
) -> Part[Mixer]:
    causal, window, heads = a.get("causal", False), a.get("window_size", 64), a.get("heads", 8)
    shared = a.get("context_shared_qk", False) if context else a.get("shared_qk")
    clusters, local = None, None
    if near < heads:
        causal_here, is_shared = causal and not context, causal if shared is None else shared
        means, memories = found["kmeans.means"], found["mem_key"].shape[2]
        # The models do not hand `commitment_factor` and `context_window_size` on, so that their defaults hold.
        clusters = Clusters(
            means, memories, window=window, other_window=window, causal=causal_here, shared=is_shared, context=context,
            commitment=1e-4,
        )  # fmt: skip
    if near:
        of_local = {"window": a.get("local_attn_window_size") or window, "reach": a.get("local_attn_radius_blocks", 1)}
        local = Local(found["rel_pos.inv_freq"], **of_local, causal=causal)
    return part(
        PackageAttention,
        width=a.get("dim_head", 64),
        local=local,
        clusters=clusters,
        turns=None if clusters is None else turns,
        heads=(near, heads - near),
    )


def _around(a: Mapping[str, Any]) -> bool:
    return bool(a.get("shift_tokens") or a.get("use_rezero"))


RULES = (
    *MEMORIES,
    (r"^token_emb\.", "tokens.table."),
    (r"^routing_transformer\.project_in", "tokens.up"),
    (r"^routing_transformer\.project_out", "heads.main.down"),
    (r"^out\.tensor$", "out.weight"),
    (r"^(norm|out)\.", r"heads.main.\1."),
    (r"\bglobal_attn\.", "clusters."),
    (r"\blocal_attn\.rel_pos\.inv_freq$", "local.rates"),
    (r"\blocal_to_qkv\.", "near."),
    (r"\bto_(q|k|v)\.", r"reads.\1."),
    (r"\bto_out\.", "o."),
    (r"\bw1\.", "up."),
    (r"\bw2\.", "down."),
)


def _renamed(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Wrappers are called fn, one inside another; the table of angles goes to every attention that turns."""
    inner = "part." if _around(a) else ""
    norm = "" if a.get("use_scale_norm") else "norm."

    def placed(match: re.Match[str]) -> str:
        layer, side = int(match[1]), int(match[2] in {"1", "g"})
        at = f"{2 * layer + side}." if a.get("reversible") else f"{side}."
        before = "backbone." if a.get("reversible") else f"backbone.blocks.{layer}."
        if match[3].startswith("norm."):
            return f"{before}norms.{at}{norm}{match[3].removeprefix('norm.')}"
        if match[3] == "residual_weight":
            return f"{before}parts.{at}weight"
        return f"{before}parts.{at}{inner}{re.sub(r'^(fn.)+', '', match[3])}"

    rules = ((LAYER + r"(0|1|f(?=\.net)|g(?=\.net))\.(?:net\.)?(.*)$", placed), *RULES)
    made = renamed(weights, rules, r"initted$|^sinu_pos_emb")
    made = {k: v for k, v in made.items() if v.numel() or not re.search(r"\.[qkv]\.weight$", k)}  # no routed heads
    routed = [k.removesuffix("clusters.means") for k in made if k.endswith("clusters.means")]
    if a.get("receives_context"):
        routed = [k for k in routed if int(re.findall(r"\d+", k)[0]) // (2 if a.get("reversible") else 1) % 2 == 0]
    return made | {f"{k}turns": weights["sinu_pos_emb.emb"] for k in routed}


def replay(
    loaded: Clusters | TokenEncoder, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    if isinstance(loaded, Clusters):
        masks = (None if m is None else m.bool() for m in (inputs.get("query_mask"), inputs.get("key_mask")))
        y, loss = loaded(inputs["q"], inputs["k"], inputs["v"], *masks)
        return {"y": y, "aux_loss": loss}
    mask, other = inputs.get("input_mask"), inputs.get("context_mask")
    memory = Memory(inputs["context"], None if other is None else other.bool()) if "context" in inputs else None
    tape = Tape("commitment")
    batch = Batch(values=inputs["x"], observed=None if mask is None else mask.bool(), memory=memory)
    logits = loaded.head(loaded(batch, tape).hidden)
    losses = torch.stack([logits.new_zeros(()), *tape.entries["commitment"]]).sum()
    return {"logits": logits, "aux_loss": losses if arguments.get("reversible") else losses[None]}
