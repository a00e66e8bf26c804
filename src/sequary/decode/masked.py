"""Many masked cells at a time, each drawn from its own density: how MAR makes an image (arXiv 2406.11838, section 3.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Sample
from sequary.decode.guidance import UNGUIDED, Growing, Guidance
from sequary.heads.diffusion import Diffusion
from sequary.models.masked_latents import MaskedLatents
from sequary.models.tokenized import Tokenized, tokenized
from sequary.orders.masked import Masked
from sequary.tokens.image_vae import ImageVAE

DrawLatents = Callable[[Tensor, Tensor | None, float], Tensor]
"""(z [B, n, D] with the class, the same without it or None, weight of the guidance) -> [B, n, channels]."""


def host() -> Recipe:
    """A tiny model for the laws."""
    return Recipe(
        dim=16,
        model=part(
            Tokenized, tokenizer=part(ImageVAE, **ImageVAE.tiny), prior=part(MaskedLatents, **MaskedLatents.tiny)
        ),
    )


def prompt(rows: int) -> Batch:
    return Batch(values=torch.zeros(rows, 0), cond=torch.arange(rows) % 4)


@dataclasses.dataclass(frozen=True, slots=True)
class MaskedGroups:
    """Images [B, C, H, W] of the prompt's classes (`cond`). `order` says which cells each iteration draws, in each row its own.

    Guidance grows with what is known after an iteration, the last cell never counted. Trace: the cells and latents of each.
    """

    toy: ClassVar[Mapping[str, Any]] = {"host": host, "prompt": prompt}
    tiny: ClassVar[Mapping[str, Any]] = {"grid": (2, 2)}
    grid: tuple[int, ...]
    order: Masked = Masked()
    guidance: Guidance = Growing(3.0)
    temperature: float = 1.0

    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        whole = tokenized(model)
        head, prior = whole.head, whole.prior
        assert isinstance(prior, MaskedLatents)
        assert isinstance(head, Diffusion)

        def draw(z: Tensor, plain: Tensor | None, weight: float) -> Tensor:
            if plain is None:
                return head.sample(z, rng, self.temperature)
            return head.guided(z, plain, weight, rng, self.temperature)

        order = self.order.rows(len(prompt.values), self.grid, rng)
        classes = prior.condition(prompt)
        latents, trace = self.run(whole, prior, classes, order.to(classes.device), draw)
        with torch.no_grad():
            return Sample(whole.tokenizer.decode(latents), len(trace), trace)

    @torch.no_grad()
    def run(
        self, model: Model, prior: MaskedLatents, classes_B: Tensor, order_BT: Tensor, draw: DrawLatents
    ) -> tuple[Tensor, tuple[Mapping[str, Any], ...]]:
        """Latents [B, T, channels] and the trace; `model` is `prior`, or holds it.

        With guidance both halves of the batch go through the model in one call.
        """
        rows, length = order_BT.shape
        x = prior.embed.weight.new_zeros(rows, length, prior.embed.in_features)
        known = torch.zeros_like(order_BT, dtype=torch.bool)
        times = 1 if self.guidance == UNGUIDED else 2
        cond = torch.cat((classes_B, torch.full_like(classes_B, prior.classes)))[: times * rows]
        trace: list[Mapping[str, Any]] = []
        for cells in self.order.groups(order_BT):
            z = model(Batch(values=x.repeat(times, 1, 1), observed=known.repeat(times, 1), cond=cond)).hidden
            z = z.gather(1, cells.repeat(times, 1)[..., None].expand(-1, -1, z.shape[-1]))
            known = known.scatter(1, cells, True)
            done = min(int(known[0].sum()), length - 1) / length
            drawn = draw(z[:rows], z[rows:] if times == 2 else None, self.guidance.weight(done))
            x = x.scatter(1, cells[..., None].expand_as(drawn), drawn)
            trace.append({"cells": cells, "latents": drawn})
        return x, tuple(trace)
