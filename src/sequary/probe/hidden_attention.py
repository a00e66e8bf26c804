"""The matrix that a selective state-space layer applies, read as attention.

Ali, Zimerman and Wolf, The Hidden Attention of Mamba Models. Unrolled, the scan of a channel is y = α u with
α[t, s] = C_t · (Π_{s<r<=t} exp(dt_r A)) dt_s B_s for s <= t: exactly the layer's sum over the past, without skip and gate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Reading
from sequary.heads.categorical import Categorical
from sequary.mixers.ssm.mamba import Mamba
from sequary.models.language import LanguageModel
from sequary.tokens.symbols import Embedding

TOLD = ("hidden_attention", "scan_input", "scan_output")
"""What a selective state-space layer leaves on the tape."""


def host() -> Recipe:
    """A tiny model with two layers to read."""
    return Recipe(
        dim=16,
        model=part(
            LanguageModel,
            tokens=part(Embedding, vocab=5),
            backbone=part(Stack, depth=2, blocks=(part(PreNorm, parts=(part(Mamba, states=4),)),)),
            head=part(Categorical, vocab=5),
        ),
    )


def both_sides(model: Model, batch: Batch, reading: Reading) -> tuple[Tensor, Tensor]:
    """(matrix · input, what the scan itself gave) of all layers, [layers, B, T, E]."""
    tape = Tape(*TOLD)
    model(batch, tape)
    inputs, outputs = (torch.stack(tape.entries[name]) for name in TOLD[1:])
    return torch.einsum("lbets,lbse->lbte", reading.tensors["channels"], inputs), outputs


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HiddenAttention:
    """Of every Mamba layer, as a `Reading`:

    - "matrix" [layers, B, T, T], the mean over channels, and "mass", the mean of absolute values, its rows summing to one;
    - "rollout" [B, T, T], the mass through all layers;
    - "channels" [layers, B, E, T, T] where `channels` is set: large;
    - the number "error": the greatest distance of matrix · input from the layer's own scan, in any channel.
    """

    tiny: ClassVar[Mapping[str, Any]] = {"channels": True}
    toy: ClassVar[Mapping[str, Any]] = {"host": host, "applied": both_sides}

    channels: bool = False

    @torch.no_grad()
    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        """Batches must have one length. The model is left in the mode that it was in."""
        training = model.training
        model.eval()
        try:
            read = [self._read(model, batch) for batch in batches]
        finally:
            model.train(training)
        tensors = {name: torch.cat([r.tensors[name] for r in read], 1) for name in read[0].tensors}
        tensors["rollout"] = rollout(tuple(tensors["mass"]))
        return Reading(tensors, {"error": max(r.numbers["error"] for r in read)})

    def _read(self, model: Model, batch: Batch) -> Reading:
        tape = Tape(*TOLD)
        model(batch, tape)
        matrices, inputs, outputs = tape.entries.values()
        if not matrices:
            raise ValueError(
                f"{type(model).__name__} has no layer that leaves 'hidden_attention' on the tape (Mamba does)"
            )
        errors = [
            float((torch.einsum("bets,bse->bte", a, u) - y).abs().max())
            for a, u, y in zip(matrices, inputs, outputs, strict=True)
        ]
        mass = torch.stack([a.abs().mean(1) for a in matrices])
        found = {
            "matrix": torch.stack([a.mean(1) for a in matrices]),
            "mass": mass / mass.sum(-1, keepdim=True).clamp(min=torch.finfo(mass.dtype).tiny),
        }
        if self.channels:
            found["channels"] = torch.stack(matrices)
        return Reading(found, {"error": max(errors)})


def rollout(maps: Sequence[Tensor]) -> Tensor:
    """Attention rollout: the product of (map + identity), rows divided by their sum, over layers [B, T, T], later ones on the left."""
    joint: Tensor | None = None
    for one in maps:
        mixed = one + torch.eye(one.shape[-1], dtype=one.dtype, device=one.device)
        mixed = mixed / mixed.sum(-1, keepdim=True)
        joint = mixed if joint is None else mixed @ joint
    if joint is None:
        raise ValueError("rollout of no layer: give at least one map")
    return joint
