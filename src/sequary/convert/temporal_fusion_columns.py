"""Which variable of a pytorch-forecasting model is which column of our batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sequary.condition.covariates import Covariates
from sequary.convert.declined import Declined
from sequary.core.part import Part, part
from sequary.core.values import Batch


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """Names, in the source's order. The first number that only the look-back has is our target, the rest of these are past."""

    static: list[str]
    looks: list[str]
    ahead: list[str]
    target: str | None
    past: list[str]

    @staticmethod
    def of(a: Mapping[str, Any]) -> Columns:
        if a.get("categorical_groups"):
            raise Declined(
                f"categorical_groups={a['categorical_groups']!r}: columns that share one embedding by its sum"
            )

        def names(kind: str) -> list[str]:
            categoricals, reals = kind.format("categoricals"), kind.format("reals")
            return [*(a.get(categoricals) or ()), *(a.get(reals) or ())]

        static, looks = names("static_{}"), names("time_varying_{}_encoder")
        ahead = names("time_varying_{}_decoder")
        if not looks or set(static) & {*looks, *ahead}:
            raise Declined("time_varying_*_encoder=nothing, or variables that are static as well")
        behind = [n for n in looks if n not in ahead]
        target = next((n for n in behind if n in (a.get("time_varying_reals_encoder") or ())), None)
        return Columns(static, looks, ahead, target, [n for n in behind if n != target])

    @property
    def covariates(self) -> list[str]:
        """In the order of our columns, from column 1."""
        return [*self.static, *self.past, *self.ahead]

    def part(self, weights: Mapping[str, Tensor], dim: int) -> Part[Covariates]:
        cards, widths = [0], [dim]
        for name in (self.target, *self.covariates):
            table = weights.get(f"input_embeddings.embeddings.{name}.weight")
            width = weights[f"prescalers.{name}.weight"].shape[0] if table is None and name else dim
            cards.append(0 if table is None else table.shape[0])
            widths.append(width if table is None else table.shape[1])
        numbers = {name: i for i, name in enumerate((self.target, *self.covariates)) if name}
        return part(
            Covariates,
            cardinalities=tuple(cards[2:]),
            static=len(self.static),
            past=len(self.past),
            widths=tuple(widths[1:]),
            looks=tuple(numbers[n] for n in self.looks),
            ahead=tuple(numbers[n] for n in self.ahead),
        )

    def maps(self, weights: Mapping[str, Tensor], dim: int) -> dict[str, Tensor]:
        """Our names of the maps of all variables. The source knows no missing target: that column is 0."""
        like = next(iter(weights.values()))
        found = {"target.weight": like.new_zeros(dim, 2), "target.bias": like.new_zeros(dim)}
        if self.target is not None:
            scale = weights[f"prescalers.{self.target}.weight"]
            found["target.weight"] = torch.cat((scale, torch.zeros_like(scale)), 1)
            found["target.bias"] = weights[f"prescalers.{self.target}.bias"]
        for i, name in enumerate(self.covariates):
            table = weights.get(f"input_embeddings.embeddings.{name}.weight")
            if table is not None:
                found[f"maps.{i}.weight"] = table
            else:
                found |= {f"maps.{i}.{leaf}": weights[f"prescalers.{name}.{leaf}"] for leaf in ("weight", "bias")}
        return {f"covariates.{k}": v for k, v in found.items()}

    def batch(self, inputs: Mapping[str, Tensor], a: Mapping[str, Any]) -> Batch:
        """Statics: the value at the first step counts."""
        look, ahead = (self._table(inputs, a, part) for part in ("encoder", "decoder"))
        like = inputs["encoder_cont"]

        def stacked(columns: list[Tensor], length: int) -> Tensor:
            return torch.stack(columns, -1) if columns else like.new_zeros(len(like), length, 0)

        steps = like.shape[1] + inputs["decoder_cont"].shape[1]
        return Batch(
            values=like.new_zeros(*like.shape[:2], 1) if self.target is None else look[self.target][..., None],
            static=stacked([look[n] for n in self.static], like.shape[1])[:, 0],
            past=stacked([look[n] for n in self.past], like.shape[1]),
            future=stacked([torch.cat((look[n], ahead[n]), 1) for n in self.ahead], steps),
        )

    @staticmethod
    def _table(inputs: Mapping[str, Tensor], a: Mapping[str, Any], part: str) -> dict[str, Tensor]:
        """Name -> [B, T]; codes as numbers of the same type as the others."""
        reals = inputs[f"{part}_cont"]
        found = {name: reals[..., i] for i, name in enumerate(a.get("x_reals") or ())}
        names: Sequence[str] = a.get("x_categoricals") or ()
        return found | {name: inputs[f"{part}_cat"][..., i].to(reals.dtype) for i, name in enumerate(names)}
