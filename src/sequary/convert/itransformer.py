"""thuml/iTransformer: `model/iTransformer.py:Model`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from sequary.convert.narrow_attention import NarrowAttention
from sequary.convert.weights import fill, renamed
from sequary.core.catalogue import load as system
from sequary.core.contracts import Forecasts, Mixer
from sequary.core.ctx import Tape
from sequary.core.part import Part, part
from sequary.core.values import Batch
from sequary.mixers.attention.full import Attention
from sequary.tokens.series import NoScale, WindowNorm

RULES = (
    (r"enc_embedding\.value_embedding", "tokens.embed"),
    (r"encoder\.attn_layers\.(\d+)\.attention\.(query|key|value)_projection", r"backbone.blocks.\1.parts.0.qkv.\2"),
    (r"qkv\.query", "qkv.q"),
    (r"qkv\.key", "qkv.k"),
    (r"qkv\.value", "qkv.v"),
    (r"encoder\.attn_layers\.(\d+)\.attention\.out_projection", r"backbone.blocks.\1.parts.0.o"),
    (r"encoder\.attn_layers\.(\d+)\.conv1", r"backbone.blocks.\1.parts.1.up"),
    (r"encoder\.attn_layers\.(\d+)\.conv2", r"backbone.blocks.\1.parts.1.down"),
    (r"encoder\.attn_layers\.(\d+)\.norm1", r"backbone.blocks.\1.norms.0.norm"),
    (r"encoder\.attn_layers\.(\d+)\.norm2", r"backbone.blocks.\1.norms.1.norm"),
    (r"^encoder\.norm", "backbone.norm.norm"),
    (r"^projector", "heads.main.out"),
)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Forecasts:
    """`arguments`: seq_len, pred_len, d_model, n_heads, d_ff, e_layers, activation, use_norm; the others have no effect in eval."""
    recipe = system("itransformer").recipe
    assert recipe is not None
    recipe = recipe.bind({"context": arguments["seq_len"], "horizon": arguments["pred_len"]})
    width = arguments.get("d_ff") or 4 * arguments["d_model"]
    recipe = recipe.but(
        dim=arguments["d_model"],
        model__scale=part(WindowNorm) if arguments["use_norm"] else part(NoScale),
        model__backbone__depth=arguments["e_layers"],
        model__backbone__blocks__0__parts__0=_attention(arguments["d_model"], arguments["n_heads"]),
        model__backbone__blocks__0__parts__1__hidden=width,
        model__backbone__blocks__0__parts__1__activation="relu" if arguments.get("activation") == "relu" else "gelu",
    )
    model = recipe.build()
    assert isinstance(model, Forecasts)
    ours = renamed(weights, RULES)
    return fill(model, {k: v.squeeze(-1) if v.dim() == 3 else v for k, v in ours.items()})


def _attention(dim: int, heads: int) -> Part[Mixer]:
    """Where the heads do not share out the width, the source attends in a narrower space."""
    return part(NarrowAttention, heads=heads, width=dim // heads) if dim % heads else part(Attention, heads=heads)


def replay(loaded: Forecasts, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    marks = inputs.get("x_mark_enc")
    tape = Tape("attention")
    # The marks cover the look-back only; known covariates reach over the horizon, of which the tokens read nothing.
    future = None if marks is None else F.pad(marks, (0, 0, 0, arguments["pred_len"]))
    output = loaded(Batch(values=inputs["x_enc"], future=future), tape=tape)
    return {"y": loaded.mean(output), "attention_last": tape.entries["attention"][-1]}
