"""AdamW with clipping, in one fused pass over the weights, that skips steps which are not finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sequary.core.recipe import Train

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Optimiser:
    """Decoupled weight decay on matrices only: biases, gains and other vectors are not decayed.

    The fused kernel of torch divides by `grad_scale` and does nothing where `found_inf` is 1, both read on the device: so
    clipping costs no pass of its own, and a NaN is stopped without waiting for it. `found_inf` stays 1 once it is.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], train: Train) -> None:
        self.weights, self.clip = weights, train.clip
        self.names, self.parameters = list(weights), list(weights.values())
        self.fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in self.parameters)
        groups = [
            {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": train.weight_decay},
            {"params": [p for p in self.parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(
            [g for g in groups if g["params"]], lr=train.lr, betas=train.betas, fused=self.fused
        )
        self.bad = torch.zeros((), device=self.parameters[0].device)

    def clear(self) -> None:
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, loss: Tensor, lr: float) -> tuple[Tensor, Sequence[str]]:
        """Make a step, unless `loss` or a gradient is not finite. Returns the gradients' norms and whose they are."""
        grads = [p.grad for p in self.parameters if p.grad is not None]
        names = self.names
        if len(grads) != len(names):
            names = [n for n, p in self.weights.items() if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(grads))  # pyright: ignore[reportPrivateImportUsage]
        total = torch.linalg.vector_norm(norms)
        self.bad = torch.maximum(self.bad, torch.isfinite(total + loss).logical_not_().float())
        scale = (total / self.clip).clamp(min=1).float() if self.clip is not None else None
        for group in self.adam.param_groups:
            group["lr"] = lr
        if self.fused:
            # The protocol of torch.amp.GradScaler: attributes that a fused step reads.
            setattr(self.adam, "grad_scale", scale)  # noqa: B010 (not declared on the class)
            setattr(self.adam, "found_inf", self.bad)  # noqa: B010
            self.adam.step()
        elif not self.bad.item():
            for g in grads if scale is not None else ():
                g.div_(scale)
            self.adam.step()
        return norms, names

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts by the parameter's name; parameters that never had a gradient have none."""
        found = {n: self.adam.state[p] for n, p in self.weights.items() if p in self.adam.state}
        return {f"{kind}/{name}": state[kind] for name, state in found.items() for kind in MOMENTS}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """`tensors` as from `state`, already checked against `expected`."""
        for name, p in self.weights.items():
            if f"step/{name}" in tensors:
                state = {kind: tensors[f"{kind}/{name}"].to(p.device) for kind in MOMENTS}
                self.adam.state[p] = state if self.fused else {**state, "step": tensors[f"step/{name}"].cpu()}

    def expected(self) -> dict[str, Tensor]:
        """What `state` may hold, for checking names and shapes."""
        shapes: dict[str, Tensor] = {}
        for name, p in self.weights.items():
            shapes |= {f"exp_avg/{name}": p, f"exp_avg_sq/{name}": p, f"step/{name}": torch.zeros(())}
        return shapes
