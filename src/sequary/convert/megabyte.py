"""lucidrains/MEGABYTE-pytorch: `MEGABYTE`, of two stages or more."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.handover import After, OwnSlices
from sequary.blocks.norms import RMSNorm
from sequary.blocks.shifted_prenorm import ShiftedPreNorm
from sequary.convert.chunks import chunked
from sequary.convert.declined import Declined
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.decode.choice import Likeliest
from sequary.decode.stepwise import Stepwise
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.rated import RatedAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.megabyte import Megabyte
from sequary.tokens.byte_patches import ProjectedBytes
from sequary.tokens.symbols import Embedding

TINY = 1e-16
"""The source clamps a root mean square at 1e-8; ours adds the square of that under the root."""
LAYER = r"^transformers\.(\d+)\.layers\.(\d+)\."
BLOCK = r"stages.\1.blocks.\2."
PATCH = {"0": "table", "2": "before", "3": "out", "4": "after"}
PRIME = 10
"""Bytes that the goldens continue."""


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Megabyte:
    """`arguments`: num_tokens, dim, depth, max_seq_len, dim_head, heads, ff_mult, rel_pos, pos_emb; pad_id matters to the loss.

    Longer than 40 lines because a stage of the source is many arguments, each said once.
    """
    a, lengths = arguments, tuple(arguments["max_seq_len"])
    if len(lengths) < 2:
        raise Declined(f"max_seq_len={lengths}: one stage is a plain transformer, without patches")
    dims = tuple(a["dim"]) if isinstance(a["dim"], list | tuple) else (a["dim"],) * len(lengths)
    places = lengths if a.get("pos_emb", False) else (None,) * len(lengths)
    heads, width = a.get("heads", 8), a.get("dim_head", 64)
    made = part(
        Megabyte,
        widths=dims[:-1],
        coarse=tuple(
            part(
                ProjectedBytes,
                vocab=a["num_tokens"],
                size=math.prod(lengths[i + 1 :]),
                width=dims[-1],
                positions=places[i],
            )
            for i in range(len(dims) - 1)
        ),
        slices=(part(OwnSlices),) * (len(dims) - 1),
        fine=part(Embedding, vocab=a["num_tokens"], positions=places[-1]),
        stages=tuple(
            part(
                Stack,
                depth=depth,
                blocks=(
                    part(
                        ShiftedPreNorm,
                        parts=(
                            part(RatedAttention, heads=heads, width=width, rates=_rates(weights, i)),
                            part(MLP, hidden=dim * a.get("ff_mult", 4)),
                        ),
                        norm=part(RMSNorm, eps=TINY),
                    ),
                ),
                norm=part(RMSNorm, eps=TINY),
            )
            for i, (dim, depth) in enumerate(zip(dims, a["depth"], strict=True))
        ),
        head=part(Categorical, vocab=a["num_tokens"], bias=True),
        meets=After(),
    ).build(Place(dims[-1]))
    return fill(made, renamed(chunked(weights, {"to_kv": ("k", "v")}), _rules(len(dims)), r"inv_freq$"))


def _rates(weights: Mapping[str, Tensor], stage: int) -> tuple[float, ...]:
    """The source's own, since it rounds them to float32; none where it has no rotary positions."""
    rates = weights.get(f"transformers.{stage}.rotary_emb.inv_freq")
    return () if rates is None else tuple(rates.tolist())


def _rules(stages: int) -> tuple[Rule, ...]:
    """The source lists its embeddings finest first."""

    def patch(m: re.Match[str]) -> str:
        return f"coarse.{stages - 1 - int(m[1])}.{PATCH[m[2]]}"

    return (
        (LAYER + r"0\.norm\.g", BLOCK + "norms.0.norm.weight"),
        (LAYER + r"0\.to_q", BLOCK + "parts.0.qkv.q"),
        (LAYER + r"0\.([kv])\.", BLOCK + r"parts.0.qkv.\3."),
        (LAYER + r"0\.to_out", BLOCK + "parts.0.o"),
        (LAYER + r"1\.0\.g", BLOCK + "norms.1.norm.weight"),
        (LAYER + r"1\.1", BLOCK + "parts.1.up"),
        (LAYER + r"1\.4", BLOCK + "parts.1.down"),
        (r"^transformers\.(\d+)\.norm\.g", r"stages.\1.norm.norm.weight"),
        (r"^start_tokens", "starts"),
        (r"^token_embs\.0\.weight", "fine.table.weight"),
        (r"^token_embs\.(\d+)\.(\d)", patch),
        (rf"^pos_embs\.{stages - 1}\.", "fine.places."),
        (r"^pos_embs\.(\d+)\.", r"coarse.\1.places."),
        (r"^to_next_transformer_projections\.(\d+)\.1", r"slices.\1.out"),
        (r"^to_logits", "heads.main.out"),
    )


def replay(loaded: Megabyte, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    ids = inputs["ids"].flatten(1)
    found = {"logits_empty": loaded.head(empty(loaded, len(ids)))}
    if not ids.numel():
        return {**found, "logits": found["logits_empty"]}
    logits = loaded.head(loaded(Batch(values=ids)).hidden)
    # The first byte is predicted from the start vectors.
    all_but_last = torch.cat((loaded.head(loaded.opening(len(ids)))[:, None], logits[:, :-1]), 1)
    loss = F.cross_entropy(all_but_last.flatten(0, 1), ids.flatten(), ignore_index=arguments.get("pad_id", 0))
    prime = ids[:, :PRIME]
    new = math.prod(arguments["max_seq_len"]) - prime.shape[1]
    greedy = prime
    if new:
        greedy = Stepwise(new=new, choice=Likeliest())(loaded, Batch(values=prime), torch.Generator()).raw
    return {**found, "logits": logits.unflatten(1, inputs["ids"].shape[1:]), "loss": loss, "greedy": greedy}


def empty(model: Megabyte, rows: int) -> Tensor:
    """[rows, 1, dim]: the source's forward of an empty sequence, where the start vectors too meet a slice, the first one."""
    x = model.top(model.starts[0].expand(rows, 1, -1))[0].x
    for slices, start, stage in zip(model.slices, list(model.starts)[1:], list(model.stages)[1:], strict=True):
        x = stage(start + slices(x[:, 0])[:, :1])[0].x
    return x
