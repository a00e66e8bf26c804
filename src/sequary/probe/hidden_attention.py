"""The matrix that a selective state-space layer applies, read as attention.

Ali, Zimerman and Wolf, The Hidden Attention of Mamba Models. Unrolled, the scan of a channel is y = α u with
α[t, s] = C_t · (Π_{s<r<=t} exp(dt_r A)) dt_s B_s for s <= t: exactly the layer's sum over the past, without skip and gate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.values import Batch, Reading


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HiddenAttention:
    """Of every Mamba layer, as a `Reading`:

    - "matrix" [layers, B, T, T], the mean over channels, and "mass", the mean of absolute values, its rows summing to one;
    - "rollout" [B, T, T], the mass through all layers;
    - "channels" [layers, B, E, T, T] where `channels` is set: large;
    - the number "error": the greatest distance of matrix · input from the layer's own scan, in any channel.
    """

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
        tape = Tape("hidden_attention", "scan_input", "scan_output")
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
