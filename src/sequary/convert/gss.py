"""gated-state-spaces-pytorch (lucidrains): `DSS`, `GSS` and `GatedStateSpacesLM`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.categorical import Categorical
from sequary.mixers.ssm.dss import DiagonalStateSpace
from sequary.mixers.ssm.gated_state_space import GatedStateSpace
from sequary.models.language import LanguageModel
from sequary.tokens.symbols import Embedding

SSM = ((r"Lambda_real$", "decay"), (r"Lambda_imag$", "turn"), (r"param_D$", "D"))
BLOCK = (
    *((rf"(^|\.){theirs}(?=\.)", rf"\1parts.0.{ours}") for theirs, ours in (
        (r"to_u\.0", "gate"), (r"to_v\.0", "narrow"), (r"dss\.norm", "norm"), ("dss", "ssm"), ("to_gate", "widen"), ("to_out", "out"),
    )),
    (r"(^|layers\.\d+\.)norm\.", r"\1norms.0.norm."),
)  # fmt: skip


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    if source == "DSS":
        rules = (*SSM, (r"^norm\.", "0."), (r"^(?!0\.)", "1."))
        width = arguments["dim"]
        return fill(nn.Sequential(nn.LayerNorm(width), ssm(arguments, "").build(Place(width))), renamed(weights, rules))
    if source == "GSS":
        return fill(block(arguments).build(Place(arguments["dim"])), renamed(weights, (*SSM, *BLOCK)))
    if source == "GatedStateSpacesLM":
        model = part(
            LanguageModel,
            tokens=part(Embedding, vocab=arguments["num_tokens"]),
            backbone=part(Stack, depth=arguments["depth"], blocks=(block(arguments),)),
            head=part(Categorical, vocab=arguments["num_tokens"]),
        )
        outer = (
            (r"^layers\.", "backbone.blocks."),
            (r"^to_logits\.", "heads.main.out."),
            (r"^token_emb\.", "tokens.table."),
        )
        return fill(model.build(Place(arguments["dim"])), renamed(weights, (*SSM, *BLOCK, *outer)))
    raise Declined(f"source={source!r}: known are DSS, GSS, GatedStateSpacesLM")


def ssm(arguments: Mapping[str, Any], prefix: str) -> Part[DiagonalStateSpace]:
    return part(
        DiagonalStateSpace,
        states=arguments.get(f"{prefix}kernel_N", 512),
        log_rates=arguments.get("dss_kernel_lambda_imag_exp", True),
    )


def block(arguments: Mapping[str, Any]) -> Part[PreNorm]:
    mixer = part(
        GatedStateSpace,
        expand=arguments.get("dim_expansion_factor", 4),
        inner=arguments.get("dss_kernel_H", 256),
        ssm=ssm(arguments, "dss_"),
    )
    return part(PreNorm, parts=(mixer,), norm=part(LayerNorm))


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if isinstance(loaded, LanguageModel):
        return {"y": loaded.head(loaded(Batch(values=x)).hidden)}
    if arguments.get("reverse_seq", False):  # the whole block runs backwards in time
        return {"y": loaded(x.flip(1)).flip(1)}
    return {"y": loaded(x)}
