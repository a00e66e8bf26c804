"""WenjieDu/SAITS: `modeling/saits.py`, class `SAITS`, with its losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.contracts import Backbone
from sequary.core.part import Part, Tied, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.mixers.attention.diagonal import DiagonalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.imputer import BlendedImputer
from sequary.objectives.imputation import imputation, reconstruction

OUTSIDE = {
    "embedding_1": "embed_first",
    "embedding_2": "embed_second",
    "reduce_dim_z": "out_first",
    "reduce_dim_beta": "out_second.0",
    "reduce_dim_gamma": "out_second.2",
    "weight_combine": "blend",
}
ATTENTION = {"w_qs": "q", "w_ks": "k", "w_vs": "v", "fc": "o"}


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> BlendedImputer:
    """`arguments`: those of the class; dropout, device and MIT change no weights."""
    model = part(
        BlendedImputer,
        channels=arguments["d_feature"],
        length=arguments["d_time"],
        first=_block("first", arguments),
        second=_block("second", arguments),
        sees_missing=arguments.get("input_with_mask", True),
    ).build(Place(arguments["d_model"]))
    ours = {f"{o}.{leaf}": weights[f"{t}.{leaf}"] for t, o in OUTSIDE.items() for leaf in ("weight", "bias")}
    for name in ("first", "second"):
        for step, layer in enumerate(_order(arguments)):
            ours |= _layer(weights, f"layer_stack_for_{name}_block.{layer}.", f"{name}.blocks.", 2 * step)
    return fill(model, ours)


def replay(loaded: BlendedImputer, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if not arguments.get("MIT", True):
        raise Declined("MIT=False: the source's imputation loss is then 0 or not by the stage that its caller names")
    x, m = inputs["X"], inputs["missing_mask"]
    output = loaded(Batch(values=x, observed=m))
    hidden = inputs.get("indicating_mask")

    def theirs(loss: Tensor, counted: Tensor) -> Tensor:
        """Their masked mean divides by the count + 1e-9."""
        return loss * (counted.sum() / (counted.sum() + 1e-9))

    found = {
        "imputed": m * x + (1 - m) * output.hidden,
        "x_tilde_1": output.extra["first"],
        "x_tilde_2": output.extra["second"],
        "x_tilde_3": output.hidden,
        "reconstruction_loss": theirs(reconstruction(loaded, output, x, m), m),
    }
    if hidden is not None:
        found["imputation_loss"] = theirs(imputation(loaded, output, inputs["X_holdout"], hidden), hidden)
    return found


def _order(arguments: Mapping[str, Any]) -> list[int]:
    """Which of the source's layers acts at each step: groups are repeated as wholes, or each layer in place."""
    groups, inner = arguments["n_groups"], arguments["n_group_inner_layers"]
    if arguments["param_sharing_strategy"] == "between_group":
        return list(range(inner)) * groups
    return [layer for layer in range(groups) for _ in range(inner)]


def _block(name: str, arguments: Mapping[str, Any]) -> Part[Backbone]:
    """Attention and feed-forward stand in blocks of their own, since the epsilons of their norms differ."""
    attention = part(
        DiagonalAttention,
        heads=arguments["n_head"],
        key=arguments["d_k"],
        value=arguments["d_v"],
        itself=not arguments["diagonal_attention_mask"],
    )
    mlp = part(MLP, hidden=arguments["d_inner"], activation="relu")
    pair = (
        ("attention", part(PreNorm, parts=(attention,), norm=part(LayerNorm, eps=1e-5))),
        ("mlp", part(PreNorm, parts=(mlp,), norm=part(LayerNorm, eps=1e-6))),
    )
    order = _order(arguments)
    blocks = tuple(Tied(f"{name}.{layer}.{kind}", block) for layer in order for kind, block in pair)
    return part(Stack, depth=len(blocks), blocks=blocks)


def _layer(weights: Mapping[str, Tensor], theirs: str, ours: str, at: int) -> dict[str, Tensor]:
    found = {f"{ours}{at}.parts.0.{o}.weight": weights[f"{theirs}slf_attn.{t}.weight"] for t, o in ATTENTION.items()}
    for leaf in ("weight", "bias"):
        found[f"{ours}{at}.norms.0.norm.{leaf}"] = weights[f"{theirs}layer_norm.{leaf}"]
        found[f"{ours}{at + 1}.norms.0.norm.{leaf}"] = weights[f"{theirs}pos_ffn.layer_norm.{leaf}"]
        found[f"{ours}{at + 1}.parts.0.up.{leaf}"] = weights[f"{theirs}pos_ffn.w_1.{leaf}"]
        found[f"{ours}{at + 1}.parts.0.down.{leaf}"] = weights[f"{theirs}pos_ffn.w_2.{leaf}"]
    return found
