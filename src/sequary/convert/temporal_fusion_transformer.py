"""pytorch-forecasting: `TemporalFusionTransformer`, and of its parts `GatedResidualNetwork`, `VariableSelectionNetwork` and
`InterpretableMultiHeadAttention`. Widths are read off the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.backbones.temporal_fusion import CONTEXTS
from sequary.condition.selection import VariableSelection
from sequary.convert.declined import Declined
from sequary.convert.temporal_fusion_columns import Columns
from sequary.convert.temporal_fusion_parts import (
    PARTS,
    Weights,
    attention_part,
    each,
    grn_part,
    joined,
    selection_part,
)
from sequary.convert.weights import fill, renamed
from sequary.core.catalogue import load as system
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import part
from sequary.core.place import Place
from sequary.mixers.attention.shared_value import SharedValueAttention
from sequary.mixers.mlp.gated_residual import GRN
from sequary.models.temporal_fusion import CovariateForecaster
from sequary.tokens.series import NoScale

NETWORK = (
    (r"^(post_attn|pre_output)_gate_norm\.glu\.fc", r"\1.map"),
    (r"^(post_attn|pre_output)_gate_norm\.add_norm\.norm", r"\1.norm"),
    (r"^post_attn\.", "network.attended."),
    (r"^pre_output\.", "network.out."),
    (r"^post_lstm_gate_encoder\.fc", "network.local.map"),
    (r"^post_lstm_add_norm_encoder\.norm", "network.local.norm"),
    (r"^static_context_variable_selection\.", "network.contexts.selection."),
    (r"^static_context_initial_(hidden|cell)_lstm\.", r"network.contexts.\1."),
    (r"^static_context_enrichment\.", "network.contexts.enrichment."),
    (r"^static_enrichment\.", "network.enrich."),
    (r"^static_variable_selection\.", "network.static."),
    (r"^encoder_variable_selection\.", "network.past."),
    (r"^decoder_variable_selection\.", "network.future."),
    (r"^pos_wise_ff\.", "network.feed."),
    (r"^lstm_", "network."),
    (r"^multihead_attn\.", "network.attention."),
    (r"^output_layer\.", "heads.main.out."),
)
ELSEWHERE = r"prescalers|input_embeddings|shared_single_variable_grns|^post_lstm_\w+_decoder|^loss\."


class Prescaled(nn.Module):
    """Numbers through a linear map 1 -> width, and the selection among them and the embeddings of categories."""

    def __init__(self, select: VariableSelection, names: list[str], widths: Mapping[str, int]) -> None:
        super().__init__()
        self.select, self.names = select, names
        self.prescalers = nn.ModuleDict({name: nn.Linear(1, width) for name, width in widths.items()})

    def forward(self, values: Mapping[str, Tensor], context: Tensor | None) -> tuple[Tensor, Tensor]:
        embedded = [self.prescalers[n](values[n]) if n in self.prescalers else values[n] for n in self.names]
        return self.select(embedded, context)


Loaded = GRN | SharedValueAttention | Prescaled | CovariateForecaster


def load(source: str, arguments: Mapping[str, Any], weights: Weights) -> Loaded:
    builders: dict[str, Callable[[Mapping[str, Any], Weights], Loaded]] = {
        "GatedResidualNetwork": _grn,
        "InterpretableMultiHeadAttention": _attention,
        "VariableSelectionNetwork": _selection,
        "TemporalFusionTransformer": _model,
    }
    if source not in builders:
        raise Declined(f"source={source!r}: known are {', '.join(builders)}")
    return builders[source](arguments, weights)


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, CovariateForecaster):
        return _forecast(loaded, inputs, arguments)
    if isinstance(loaded, GRN):
        x, context = inputs["x"], inputs.get("context")
        if context is None and loaded.context is not None:  # its map has no bias, so nothing is the same as 0
            context = x.new_zeros(*x.shape[:-1], loaded.context.in_features)
        return {"y": loaded(x, context)}
    if isinstance(loaded, Prescaled):
        y, weights = loaded(inputs, inputs.get("context"))
        return {"y": y, "weights": weights[..., None, :]}
    hidden = inputs.get("mask")
    if hidden is not None and bool(hidden.all(-1).any()):
        raise Declined("mask=a query that sees nothing: the source then reads all keys alike, here it reads none")
    tape = Tape("attention")
    y = loaded.read(inputs["q"], inputs["kv"], None if hidden is None else ~hidden, Ctx(tape=tape))
    return {"y": y, "weights": tape.entries["attention"][0].transpose(1, 2)}


def _grn(a: Mapping[str, Any], weights: Weights) -> GRN:
    if a.get("residual", False) and a["input_size"] != a["output_size"]:
        raise Declined("residual=True: the source then adds an input of another width that the caller passes")
    sizes = {"inputs": a["input_size"], "context": a.get("context_size")}
    return fill(grn_part(weights, "").but(**sizes).build(Place(a["output_size"])), renamed(weights, PARTS))


def _attention(a: Mapping[str, Any], weights: Weights) -> SharedValueAttention:
    made = attention_part(a["n_head"], a["d_model"]).build(Place(a["d_model"]))
    return fill(made, renamed(joined(weights), PARTS))


def _selection(a: Mapping[str, Any], weights: Weights) -> Prescaled:
    names, table = list(a["variables"]), a["variables"]
    widths = tuple(table[n]["width"] for n in names)
    select = selection_part(weights, "", names).but(widths=widths, context=a.get("context_size"))
    reals = {n: table[n]["width"] for n in names if f"prescalers.{n}.weight" in weights}
    made = Prescaled(select.build(Place(a["hidden_size"])), names, reals)
    ours = renamed(weights, (*PARTS, *each("", names)))
    return fill(made, {k if k.startswith("prescalers.") else f"select.{k}": v for k, v in ours.items()})


def _model(a: Mapping[str, Any], weights: Weights) -> CovariateForecaster:
    if "output_layer.weight" not in weights:
        raise Declined(f"output_size={a.get('output_size')}: several targets")
    columns, dim, outputs = Columns.of(a), a["hidden_size"], len(weights["output_layer.weight"])
    levels = tuple(a.get("quantiles") or ())
    if len(levels) != outputs:
        levels = tuple((i + 1) / (outputs + 1) for i in range(outputs))
    names = {"static": columns.static, "encoder": columns.looks, "decoder": columns.ahead}
    select = {k: selection_part(weights, f"{k}_variable_selection.", v) for k, v in names.items()}
    recipe = system("temporal-fusion-transformer").recipe
    assert recipe is not None
    model = recipe.but(
        dim=dim,
        model__horizon=None,
        model__scale=part(NoScale),
        model__covariates=columns.part(weights, dim),
        model__network__static=select["static"],
        model__network__past=select["encoder"],
        model__network__future=select["decoder"],
        model__network__attention=attention_part(a["attention_head_size"], dim),
        model__network__grn=part(GRN),
        model__network__layers=a.get("lstm_layers", 1),
        model__network__reach=-1 if a.get("causal_attention", True) else None,
        model__head__levels=levels,
    ).build()
    assert isinstance(model, CovariateForecaster)
    rules = (*(r for k, v in names.items() for r in each(f"{k}_variable_selection.", v)), *NETWORK, *PARTS)
    ours = renamed(joined(weights), rules, ELSEWHERE) | columns.maps(weights, dim)
    return fill(model, ours | _constants(ours, columns, dim))


def _forecast(loaded: CovariateForecaster, inputs: Mapping[str, Tensor], a: Mapping[str, Any]) -> dict[str, Tensor]:
    lengths = inputs["encoder_lengths"], inputs["decoder_lengths"]
    if min(int(n.min()) for n in lengths) < 1:
        raise Declined("encoder_lengths=0 or decoder_lengths=0: a row without steps")
    tape = Tape("selection", "attention")
    output = loaded(Columns.of(a).batch(inputs, a), tape=tape, lengths=lengths)
    static, past, future = tape.entries["selection"]
    attention, look = tape.entries["attention"][0].transpose(1, 2), past.shape[1]
    return {
        "y": loaded.head(output.hidden)[:, :, 0],
        "encoder_attention": attention[..., :look],
        "decoder_attention": attention[..., look:],
        "static_weights": static[:, None] if static.shape[1] else static,
        "encoder_weights": past[:, :, None],
        "decoder_weights": future[:, :, None],
    }


def _constants(ours: dict[str, Tensor], columns: Columns, dim: int) -> dict[str, Tensor]:
    """What stands for statics, or for variables known beforehand, where there are none: GRNs of zeros, and zeros."""
    like, found = ours["heads.main.out.weight"], dict[str, Tensor]()
    if not columns.static:
        rows: list[Tensor] = []
        for name in CONTEXTS:
            prefix = f"network.contexts.{name}."
            own = {k.removeprefix(prefix): ours.pop(k) for k in list(ours) if k.startswith(prefix)}
            grn = fill(part(GRN, hidden=len(own["up.bias"])).build(Place(dim)), own)
            rows.append(grn(like.new_zeros(dim)).detach())
        found["network.constants"] = torch.stack(rows)
    if not columns.ahead:
        found["network.unknown"] = like.new_zeros(dim)
    return found
