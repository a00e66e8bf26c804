"""AdamW with clipping, in one fused pass over the weights, that skips steps which are not finite."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sequary.core.recipe import Train

# torch.optim.AdamW(fused=True) ends in the same two operators, but its first use imports torch._dynamo: 2 s and 85 MB.
fused = torch._fused_adamw_  # pyright: ignore[reportPrivateImportUsage]
norm_each = torch._foreach_norm  # pyright: ignore[reportPrivateImportUsage]

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclasses.dataclass(frozen=True, slots=True)
class Slot:
    """A parameter and its moments, as real numbers (a complex one as pairs), live."""

    name: str
    parameter: nn.Parameter
    value: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: Tensor


class Optimiser:
    """Adam with decoupled weight decay on matrices only: biases, gains and other vectors are not decayed.

    The kernel divides the gradients by `grad_scale` and does nothing where `found_inf` is 1, both read on the device: so
    clipping costs no pass of its own, and a NaN is stopped without waiting for it. `found_inf` stays 1 once it is.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], train: Train) -> None:
        self.train = train
        self.parameters = list(weights.values())
        self.slots = [_slot(name, p) for name, p in weights.items()]
        self.bad = torch.zeros((), device=self.parameters[0].device)
        self._all = self._grouped(self.slots)

    def _grouped(self, slots: Sequence[Slot]) -> list[tuple[float, list[Slot]]]:
        """(weight decay, slots that one call of the kernel updates)."""
        groups: dict[tuple[bool, torch.dtype], list[Slot]] = {}
        for slot in slots:
            groups.setdefault((slot.parameter.dim() > 1, slot.value.dtype), []).append(slot)
        return [(self.train.weight_decay if matrix else 0.0, found) for (matrix, _), found in groups.items()]

    def clear(self) -> None:
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, loss: Tensor, lr: float) -> tuple[Tensor, Sequence[Slot]]:
        """Make a step, unless `loss` or a gradient is not finite. Returns the gradients' norms and whose they are."""
        slots, groups = self.slots, self._all
        if any(p.grad is None for p in self.parameters):
            slots = [s for s in slots if s.parameter.grad is not None]
            groups = self._grouped(slots)
        norms = torch.stack(norm_each([_gradient(s) for s in slots]))
        total = torch.linalg.vector_norm(norms)
        self.bad = torch.maximum(self.bad, torch.isfinite(total + loss).logical_not_().float())
        scale = None if self.train.clip is None else (total / self.train.clip).clamp_(min=1).float()
        beta1, beta2 = self.train.betas
        for decay, group in groups:
            for s in group:
                s.step.add_(1)
            fused(
                [s.value for s in group],
                [_gradient(s) for s in group],
                [s.exp_avg for s in group],
                [s.exp_avg_sq for s in group],
                [],
                [s.step for s in group],
                amsgrad=False,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                weight_decay=decay,
                eps=1e-8,
                maximize=False,
                grad_scale=scale,
                found_inf=self.bad,
            )
        return norms, slots

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts by the parameter's name, live."""
        return {f"{kind}/{s.name}": getattr(s, kind) for s in self.slots for kind in MOMENTS}


def _slot(name: str, p: nn.Parameter) -> Slot:
    value = torch.view_as_real(p.detach()) if p.is_complex() else p.detach()
    step = torch.zeros((), device=p.device)
    return Slot(name, p, value, torch.zeros_like(value), torch.zeros_like(value), step)


def _gradient(slot: Slot) -> Tensor:
    grad = slot.parameter.grad
    assert grad is not None
    return torch.view_as_real(grad) if grad.is_complex() else grad
