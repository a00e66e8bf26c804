"""Scale by scale: all codes of a scale in one call, the keys and values of the earlier ones kept (VAR, arXiv 2404.02905)."""

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
from sequary.decode.guidance import Growing, Guidance, doubled, guided
from sequary.models.next_scale import NextScale
from sequary.models.tokenized import Tokenized, tokenized
from sequary.tokens.multiscale_vq import MultiScaleVQ


def host() -> Recipe:
    """A tiny model for the laws."""
    return Recipe(
        dim=16,
        model=part(
            Tokenized, tokenizer=part(MultiScaleVQ, **MultiScaleVQ.tiny), prior=part(NextScale, **NextScale.tiny)
        ),
    )


def prompt(rows: int) -> Batch:
    return Batch(values=torch.zeros(rows, 0), cond=torch.arange(rows) % 4)


@dataclasses.dataclass(frozen=True, slots=True)
class ScaleByScale:
    """Images [B, C, H, W] of the prompt's classes (`cond`; values only give the number of rows). Trace: codes and logits by scale."""

    toy: ClassVar[Mapping[str, Any]] = {"host": host, "prompt": prompt}
    choice: Choice = Drawn()
    guidance: Guidance = Growing(2.5)

    @torch.no_grad()
    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        whole = tokenized(model)
        tokenizer, prior = whole.tokenizer, whole.prior
        assert isinstance(tokenizer, MultiScaleVQ)
        assert isinstance(prior, NextScale)
        scales = len(tokenizer.scales)
        state = whole.init_state(doubled(prior, prompt))
        context = prior.embed.weight.new_zeros(2 * len(prompt.values), prior.first, prior.embed.in_features)
        groups: list[Tensor] = []
        trace: list[Mapping[str, Any]] = []
        for k in range(scales):
            if k:
                context = tokenizer.context(groups, k).repeat(2, 1, 1)
            output, state = whole.step(context, state)
            logits = guided(whole.head(output.hidden), self.guidance.weight(k / max(1, scales - 1)))
            groups.append(self.choice(logits, rng))
            trace.append({"codes": groups[-1], "logits": logits})
        return Sample(tokenizer.decode(torch.cat(groups, 1)), scales, tuple(trace))
