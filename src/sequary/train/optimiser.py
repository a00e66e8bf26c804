"""AdamW with clipping, in one fused pass over the weights, that skips steps which are not finite."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sequary.core.recipe import Train

# torch.optim.AdamW(fused=True) ends in the same two operators, but its first use imports torch._dynamo: 2 s and 85 MB.
fused = torch._fused_adamw_  # pyright: ignore[reportPrivateImportUsage]
add_each = torch._foreach_add_  # pyright: ignore[reportPrivateImportUsage]
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


@dataclasses.dataclass(frozen=True, slots=True)
class Gradient:
    """Its norm over all parameters, and that of each in `names`."""

    norm: Tensor
    norms: Tensor
    names: Sequence[str]


class Group:
    """Slots that one call of the kernel updates: of one type, decayed or not."""

    def __init__(self, slots: Sequence[Slot], decay: float) -> None:
        self.slots, self.decay = slots, decay
        self.values = [s.value for s in slots]
        self.exp_avgs, self.exp_avg_sqs = [s.exp_avg for s in slots], [s.exp_avg_sq for s in slots]
        self.steps = [s.step for s in slots]


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

    def _grouped(self, slots: Sequence[Slot]) -> list[Group]:
        groups: dict[tuple[bool, torch.dtype], list[Slot]] = {}
        for slot in slots:
            groups.setdefault((slot.parameter.dim() > 1, slot.value.dtype), []).append(slot)
        return [Group(found, self.train.weight_decay if matrix else 0.0) for (matrix, _), found in groups.items()]

    def clear(self) -> None:
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, loss: Tensor, lr: float) -> Gradient:
        """Make a step, unless `loss` or a gradient is not finite."""
        groups = self._all
        if any(p.grad is None for p in self.parameters):
            groups = self._grouped([s for s in self.slots if s.parameter.grad is not None])
        grads = [[_gradient(s.parameter) for s in group.slots] for group in groups]
        norms = torch.stack(norm_each([g for part in grads for g in part]))
        total = torch.linalg.vector_norm(norms)
        self.bad = torch.maximum(self.bad, torch.isfinite(total + loss).logical_not_().float())
        scale = None if self.train.clip is None else (total / self.train.clip).clamp_(min=1).float()
        beta1, beta2 = self.train.betas
        for group, part in zip(groups, grads, strict=True):
            add_each(group.steps, 1)
            fused(
                group.values,
                part,
                group.exp_avgs,
                group.exp_avg_sqs,
                [],
                group.steps,
                amsgrad=False,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                weight_decay=group.decay,
                eps=1e-8,
                maximize=False,
                grad_scale=scale,
                found_inf=self.bad,
            )
        return Gradient(total, norms, [s.name for group in groups for s in group.slots])

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts by the parameter's name, live."""
        return {f"{kind}/{s.name}": getattr(s, kind) for s in self.slots for kind in MOMENTS}


def _slot(name: str, p: nn.Parameter) -> Slot:
    value = torch.view_as_real(p.detach()) if p.is_complex() else p.detach()
    step = torch.zeros((), device=p.device)
    return Slot(name, p, value, torch.zeros_like(value), torch.zeros_like(value), step)


def _gradient(p: nn.Parameter) -> Tensor:
    assert p.grad is not None
    return torch.view_as_real(p.grad) if p.grad.is_complex() else p.grad
