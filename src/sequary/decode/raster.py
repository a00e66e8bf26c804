"""Code by code along an order, with a cache: how RAR's prior makes an image (arXiv 2411.00776)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Sample
from sequary.decode.choice import Choice, Drawn
from sequary.decode.guidance import Guidance, PowerCosine, doubled, guided
from sequary.models.permuted import PermutedCodes
from sequary.models.tokenized import Tokenized, tokenized
from sequary.orders.permuted import Permuted
from sequary.tokens.vq import VQ


def host() -> Recipe:
    """A tiny model for the laws."""
    return Recipe(
        dim=16, model=part(Tokenized, tokenizer=part(VQ, **VQ.tiny), prior=part(PermutedCodes, **PermutedCodes.tiny))
    )


def prompt(rows: int) -> Batch:
    return Batch(values=torch.zeros(rows, 0), cond=torch.arange(rows) % 4)


@dataclasses.dataclass(frozen=True, slots=True)
class CodeByCode:
    """Images [B, C, H, W] of the prompt's classes, in the order's plan at the end of training: raster. Trace: codes and logits."""

    toy: ClassVar[Mapping[str, Any]] = {"host": host, "prompt": prompt}
    tiny: ClassVar[Mapping[str, Any]] = {"grid": (2, 2)}
    grid: tuple[int, ...]
    order: Permuted = Permuted()
    choice: Choice = Drawn()
    guidance: Guidance = PowerCosine()

    @torch.no_grad()
    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        whole = tokenized(model)
        codes, trace = self.run(whole, doubled(whole.prior, prompt), rng)
        return Sample(whole.tokenizer.decode(codes), len(trace), trace)

    @torch.no_grad()
    def run(self, model: Model, given: Batch, rng: torch.Generator) -> tuple[Tensor, tuple[Mapping[str, Any], ...]]:
        """Codes [B, T] in raster order and the trace; `given`: [2B, 0] rows with their classes, then without."""
        plan = self.order.plan(self.grid, rng)
        known = plan.order(len(given.values), len(plan.groups)).to(given.values.device)
        state = model.init_state(dataclasses.replace(given, order=known))
        trace: list[Mapping[str, Any]] = []
        last = given.values
        for k in range(len(plan.groups)):
            output, state = model.step(last, state)
            logits = guided(model.head(output.hidden[:, -1:]), self.guidance.weight(k / len(plan.groups)))
            chosen = self.choice(logits, rng)
            trace.append({"codes": chosen, "logits": logits})
            last = chosen.repeat(2, 1)
        codes = torch.cat([t["codes"] for t in trace], 1)
        return codes.gather(1, known[: len(codes)]), tuple(trace)
